"""Results remembered by idempotency key, so that a publish tried twice is stored once.

Pure: time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class IdempotencyWindow(Generic[T]):
    """The newest results by key, bounded by age and by number.

    Args:
        ttl: seconds a result is remembered.
        size: how many are remembered at most; the oldest go first, and `evicted` counts those that went early.
    """

    def __init__(self, *, ttl: float, size: int) -> None:
        self._ttl = ttl
        self._size = size
        self._results: OrderedDict[tuple[str, str], tuple[float, T]] = OrderedDict()
        self._whole_until = -float("inf")  # until then none is over, and nobody need look
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._results)

    def get(self, channel: str, key: str, now: float) -> T | None:
        """Return the result of the publish with this key in this channel, or None if there was none in the window."""
        found = self._results.get((channel, key))
        return found[1] if found is not None and found[0] > now else None

    def put(self, channel: str, key: str, result: T, now: float) -> None:
        """Remember a result."""
        results, name = self._results, (channel, key)
        if name in results:  # used before, and its time is over: it goes to the end
            del results[name]
        results[name] = (now + self._ttl, result)
        if now >= self._whole_until:
            self._drop_old(now)
        if len(results) > self._size:
            results.popitem(last=False)
            self.evicted += 1

    def _drop_old(self, now: float) -> None:
        """Drop what is over, and note until when nothing more will be."""
        results, oldest = self._results, now
        while results and (oldest := next(iter(results.values()))[0]) <= now:
            results.popitem(last=False)
        self._whole_until = oldest

    def discard(self, channel: str, key: str) -> None:
        """Forget a result that did not come true."""
        self._results.pop((channel, key), None)
