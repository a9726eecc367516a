"""The pulse of a worker: pings and their answers, connections that stay silent, and when expiries are looked at.

Pings go round a wheel. Every session has a slot, chosen at random so that pings are spread; each tick of the wheel
pings one slot and asks after the one pinged a pong timeout ago. Ticks count turns of the event loop, not the clock: a
worker that was frozen does not take its clients for dead when it wakes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from messageflow.core.codes import NO_PONG, STALE
from messageflow.hub.expiries import Expiries
from messageflow.hub.heartbeat_limits import HeartbeatLimits
from messageflow.hub.runtime import Runtime
from messageflow.hub.session import Session
from messageflow.hub.session_state import State
from messageflow.hub.stalled_sessions import StalledSessions
from messageflow.hub.unauthenticated import Unauthenticated

LONGEST_TICK = 0.5  # seconds; an expiry is acted on within this


def tick_length(limits: HeartbeatLimits) -> float:
    """Return the seconds between two ticks."""
    return min(LONGEST_TICK, limits.ping_interval / 8, limits.connect_timeout / 4)


class Heartbeat:
    """The wheel of one hub. `tick` is the whole of it; `run` only calls it in time.

    Args:
        runtime: the clock, the ping interval and the pong timeout, in seconds; the timeout is the shorter.
        unauthenticated: those who have not said who they are.
        stalled: those who do not take what is written.
        on_tick: told the time at every tick, before anybody is pinged.

    Attributes:
        expiries: of its sessions; a session that is new, or is pinged, is noted there.
    """

    def __init__(
        self,
        runtime: Runtime,
        unauthenticated: Unauthenticated,
        stalled: StalledSessions,
        on_tick: Callable[[float], None],
    ) -> None:
        limits = runtime.limits.heartbeat
        self._clock = runtime.clock
        self._unauthenticated = unauthenticated
        self._stalled = stalled
        self._on_tick = on_tick
        self.tick_length = tick_length(limits)
        # A set takes twice the memory of a dict (benchmarks: memory).
        self._slots: list[dict[Session, None]] = [{} for _ in range(round(limits.ping_interval / self.tick_length))]
        self._patience = max(1, round(limits.pong_timeout / self.tick_length))  # ticks a client has to answer
        self._cursor = 0
        self.expiries = Expiries(runtime.clock, (len(self._slots) + 2) * self.tick_length)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(self.tick_length)
            self.tick()

    def add(self, session: Session) -> None:
        """Ping this session from now on, the first time after half an interval to a whole one."""
        length = len(self._slots)
        ahead = length // 2 + int(random.random() * (length - length // 2))  # a third of what randint takes
        session.slot = (self._cursor + ahead) % length
        self._slots[session.slot][session] = None
        self.expiries.note(session)

    def discard(self, session: Session) -> None:
        """Ping it no longer."""
        if session.slot >= 0:
            self._slots[session.slot].pop(session, None)

    def tick(self) -> None:
        """Do what is due."""
        now = self._clock()
        for session in self._unauthenticated.list_stale(now):
            if session.state is not State.CONNECTING:  # it has said who it is, and waits for others to make room
                session.disconnect(STALE)
        self.expiries.end_due(now)
        self._on_tick(now)
        length = len(self._slots)
        self._cursor = (self._cursor + 1) % length
        if self._patience < length:
            self._ask_after(self._slots[(self._cursor - self._patience) % length])
        self._ping(self._slots[self._cursor])

    def _ping(self, slot: dict[Session, None]) -> None:
        for session in tuple(slot):
            session.rest()
            self.expiries.note(session)
            if self._stalled.is_stalled(session):
                self._stalled.look_after(session)  # a ping would wait behind what it does not read
                continue
            if not session.encoder.one_way:
                session.pings += 1
                session.heard = False
            session.write(session.encoder.ping)

    def _ask_after(self, slot: dict[Session, None]) -> None:
        for session in tuple(slot):
            one_way = session.encoder.one_way
            if not one_way and (session.heard or not session.pings):
                continue
            if one_way or self._stalled.is_stalled(session) or session.is_unread or self._is_on_its_way(session):
                self._stalled.look_after(session)
            else:
                session.disconnect(NO_PONG)

    def _is_on_its_way(self, session: Session) -> bool:
        """Whether the ping may not have come to a peer that takes what was written before it, however slowly.

        A peer that is gone has acknowledged nothing for as long.
        """
        return session.connection.takes_slowly(self._patience * self.tick_length)
