"""Peers that do not take what is written to them: what waits for them all together, and whether they are still there.

A session is stalled while its transport is full, or while bytes waited for its peer when it was to be pinged: a ping
would only wait behind them. It is not ended for that. What it missed it reads from the history once it takes more,
and until then it costs its buffer and nothing else. It is ended when

- its peer is gone, which the transport finds out from what the peer's system acknowledges, since a peer that reads
  nothing answers no ping either; see `gateway.tcp_options` for how soon;
- the buffers of all stalled sessions, with what channels keep for them (`hub.backlog`), are over their budget: then
  what is kept for those who take nothing goes, and if that is not enough the largest of them, until an eighth of the
  budget is free again. What many buffers share is in memory once, and counts once.

Owns the set of stalled sessions. Transports own the bytes.
"""

from __future__ import annotations

import logging

from messageflow.core.codes import NO_PONG, SLOW
from messageflow.hub.backlog import Backlogs
from messageflow.hub.reader_probes import ReadProbes
from messageflow.hub.runtime import Runtime
from messageflow.hub.session import Session

PATIENT_AFTER = 5.0  # seconds a session is stalled before its transport is told; most stalls are shorter


class StalledSessions:
    """The stalled sessions of one hub.

    Args:
        runtime: limits, log and counters.
        backlogs: what channels keep for slow readers, which counts too.
        read_probes: knows what was just written to crowds.
        tick_length: seconds between two calls of `tick`.

    Attributes:
        buffered: bytes that waited for them at the last tick.
    """

    def __init__(self, runtime: Runtime, backlogs: Backlogs, read_probes: ReadProbes, tick_length: float) -> None:
        self._runtime = runtime
        self._backlogs = backlogs
        self._read_probes = read_probes
        self._memory = runtime.limits.buffer_memory  # bytes that may wait for all of them together
        self._patient_after = max(1, round(PATIENT_AFTER / tick_length))  # ticks
        self._stalled: dict[Session, int] = {}  # for how many ticks
        self.buffered = 0

    def __len__(self) -> int:
        return len(self._stalled)

    def add(self, session: Session) -> None:
        """The transport of a session is full."""
        self._stalled.setdefault(session, 0)

    def discard(self, session: Session) -> None:
        """A session has ended."""
        self._stalled.pop(session, None)

    def is_stalled(self, session: Session) -> bool:
        """Whether a peer does not take what is written: a ping would wait behind it."""
        return session.paused or session.connection.buffered > 0

    def look_after(self, session: Session) -> None:
        """End a session whose peer is gone, as its system shows; count it among the stalled while it is one."""
        if self.is_stalled(session):
            self.add(session)
        if session.connection.peer_is_gone:
            session.disconnect(NO_PONG, "it takes nothing, and its system acknowledges nothing")
            session.connection.abort()

    def tick(self) -> None:
        """Count what waits; let go of those who take everything again; keep to the budget."""
        self.buffered = 0
        for session, ticks in tuple(self._stalled.items()):
            size = session.connection.buffered
            if size or session.paused:
                self.buffered += size
                self._stalled[session] = ticks + 1
                if ticks + 1 == self._patient_after:
                    session.connection.be_patient(True)
            else:
                del self._stalled[session]
                if ticks >= self._patient_after:
                    session.connection.be_patient(False)
        backlogs = self._backlogs
        if self.buffered + backlogs.size > self._memory and self._measure_held() > self._memory:
            backlogs.drop_idle()
            self._shed(self._measure_held())

    def _measure_held(self) -> int:
        """Return the bytes that wait, what is shared counted once."""
        backlogs = self._backlogs
        shared = backlogs.count_shared() + self._read_probes.count_shared()
        return self.buffered + backlogs.size - shared

    def _shed(self, held: int) -> None:
        if held <= self._memory:
            return
        sizes = {session: session.connection.buffered for session in self._stalled}
        before, count = held, 0
        for session in sorted(sizes, key=sizes.__getitem__, reverse=True):
            if held <= self._memory * 7 // 8:
                break
            session.disconnect(SLOW, "all buffers together are over their budget")
            session.connection.abort()  # a close frame would wait behind what is to be given up
            self.buffered -= sizes[session]
            held -= sizes[session]
            count += 1
        self._runtime.counters.shed += count
        self._runtime.log_limited(logging.WARNING, "shed", sessions=count, buffered=before, budget=self._memory)
