"""How fast a worker gives out history: one cap of bytes a second over all recoveries and catch-ups.

When many come back at once, what they missed could fill every buffer and every link at the same moment. An answer
carries what was missed while the pace allows it; otherwise it is given at once and empty, and the session catches up
as one that lags, in turn. Nobody waits holding data: a turn comes before the read.

What clients ask for themselves, history and presence, has a pace of its own, so that no question delays a recovery.

Owns the bucket and the line before it. What is published now never waits here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from messageflow.hub.counters import RecoveryCounters

REPLY_TURNS = 4  # replies to questions between their turn and what they write
TURNS = 32  # catch-ups between their turn and what they write; each may overdraw the bucket by one chunk
BURST = 0.25  # seconds' worth of the rate that the bucket holds
LEAST_WAIT = 0.001  # seconds; below it a clock may not move


class RecoveryRateLimiter:
    """A token bucket of bytes with a line before it.

    Args:
        rate: bytes a second; 0 is no cap.
        clock: monotonic seconds.
        sleep: waits so many seconds.
        turns: how many may read and write at once.

    Attributes:
        counters: what was given out so far, and how often somebody had to wait for their turn, or was answered without
            what they missed.
    """

    def __init__(
        self,
        rate: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        turns: int = TURNS,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._tokens = rate * BURST
        self._at = clock()
        self._turns = asyncio.Semaphore(turns)
        self._line = asyncio.Lock()
        self.counters = RecoveryCounters()

    @property
    def debt(self) -> float:
        """The seconds until something may be given out again; 0 when it may now."""
        if not self._rate:
            return 0.0
        now = self._clock()
        self._tokens = min(self._rate * BURST, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, -self._tokens / self._rate)

    def spend(self, size: int) -> None:
        """So many bytes are given out."""
        self.counters.recovery_bytes += size
        self._tokens -= size

    def take(self, size: int) -> bool:
        """Spend so many bytes if something may be given out now."""
        if self.debt:
            self.counters.recovery_waits += 1
            return False
        self.spend(size)
        return True

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until something may be given out, first come, first served; then read, `spend` and write."""
        async with self._turns:
            async with self._line:
                self.counters.recovery_waits += bool(self.debt)
                while debt := self.debt:
                    await self._sleep(max(debt, LEAST_WAIT))
            yield
