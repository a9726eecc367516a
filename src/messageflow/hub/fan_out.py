"""Fan-out: from publications that are pending in channels to writes to their sessions.

A publication marks its channel dirty. In the next turn of the event loop, a few turns later where the last flush was
dear, the dirty channels are flushed, so that under light load a publication leaves at once, and under heavy load
batches form by themselves: while more is published in every few turns, it is gathered for as long as that flush took.
A turn makes at most `TURN_WRITES` writes; what remains waits for the next, and the loop serves everything else in
between.

Synchronous; never awaits and never raises. Owns the order in which dirty channels are flushed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from messageflow.hub.channel import Channel
from messageflow.hub.reader_probes import ReadProbes
from messageflow.hub.reader_sample import CROWD
from messageflow.hub.runtime import Runtime

log = logging.getLogger("messageflow.hub")

GATHER_TURNS = 3  # turns of the event loop: a request is read, run and published within that many
CHEAP = 0.0002  # seconds that a flush took, up to which there is nothing to gain: a few writes, to a user's pages
GATHER_SECONDS = 0.02  # for which publications are gathered at most
MANY = 4  # publications that a flush carried, after which those of another process are waited for
TURN_WRITES = 1000  # about 5 ms of writing; 1,000 keeps p99 of other work low at no cost in throughput


class FanOut:
    """The dirty channels of one hub.

    Args:
        runtime: where deliveries are counted.
        read_probes: ask how far crowds have read.
        from_afar: whether publications come from another process.
    """

    def __init__(self, runtime: Runtime, read_probes: ReadProbes, *, from_afar: bool = False) -> None:
        self._read_probes = read_probes
        self._counters = runtime.counters
        self._clock = runtime.clock
        self._loop: asyncio.AbstractEventLoop
        self._dirty: deque[Channel] = deque()
        self._flushing = False
        self._began = 0.0  # when the gathering or the flush began that is under way
        self._took = 0.0  # seconds, of the last flush
        self._gathered = 0  # publications, when last looked at
        self._from_afar = from_afar
        self._flushed = 0  # publications, when the last flush began
        self._carried = 0  # publications, by the last flush
        self._turn: asyncio.Future[None] | None = None  # for those who wait for the next turn of flushing

    def start(self) -> None:
        """Flush on the running loop from now on."""
        self._loop = asyncio.get_running_loop()

    def mark(self, channel: Channel) -> None:
        """There is something to write to the sessions of a channel."""
        if not channel.marked:
            channel.marked = True
            self._dirty.append(channel)
        if not self._flushing:
            self._flushing = True
            self._began, self._gathered = self._clock(), self._counters.publications
            # Three turns less are 6 % of a push to a user where pushes come one by one (benchmarks: unicast).
            self._loop.call_soon(self._gather, GATHER_TURNS if self._took > CHEAP else 0)

    def _gather(self, turns: int) -> None:
        """Let requests that are already on their way publish too, before a flush that takes the loop for a while.

        When nothing else happens a turn takes microseconds. Under load a flush is dear and its price hardly depends on
        how much it carries, so that gathering for as long as the last one took doubles deliveries a second where
        publishers wait for their receipts (benchmarks: burst).
        """
        if not turns and self._goes_on():
            self._gathered, turns = self._counters.publications, GATHER_TURNS
        if turns:
            self._loop.call_soon(self._gather, turns - 1)
        elif self._from_afar and self._carried >= MANY and self._time_left > 0:
            # Another process needs more than turns of this loop: half the CPU of a burst (benchmarks: workers).
            self._loop.call_later(self._time_left, self._begin_flush)
        else:
            self._begin_flush()

    def _begin_flush(self) -> None:
        self._began = self._clock()
        published = self._counters.publications
        self._carried, self._flushed = published - self._flushed, published
        self._flush()

    def _goes_on(self) -> bool:
        """Whether more was published since the last look, and there is time to wait for yet more."""
        return self._counters.publications != self._gathered and self._time_left > 0

    @property
    def _time_left(self) -> float:
        """Seconds for which more may be gathered."""
        return min(self._took, GATHER_SECONDS) - (self._clock() - self._began)

    def flush(self) -> None:
        """Write everything that is pending, now, however much it is."""
        while self._dirty:
            self._flush()

    async def wait_for_turn(self) -> None:
        """Return after the next turn of flushing. Only for those who know that something is dirty."""
        if self._turn is None:
            self._turn = self._loop.create_future()
        await asyncio.shield(self._turn)

    def _flush(self) -> None:
        dirty, budget = self._dirty, TURN_WRITES
        while dirty and budget > 0:
            channel = dirty.popleft()
            channel.marked = False
            try:
                written = channel.flush(budget)
            except Exception:
                log.exception("flush_failed", extra={"channel": channel.name})
                continue
            budget -= written or 1
            self._counters.deliveries += written
            if written >= CROWD:
                self._read_probes.follow(channel)
            if channel.dirty:
                channel.marked = True
                dirty.append(channel)
        if dirty:
            self._loop.call_soon(self._flush)
        else:
            self._flushing = False
            self._took = self._clock() - self._began
        if self._turn is not None:
            self._turn.set_result(None)
            self._turn = None
