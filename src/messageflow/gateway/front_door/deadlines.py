"""Those who have the same time for the same thing, and one timer for all of them.

As all have the same time, the order in which they came is the order in which they run out.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Members whose time runs.

    Args:
        seconds: each has; without end where it is infinite.
        expire: called with one whose time is over, once.
    """

    def __init__(self, seconds: float, expire: Callable[[T], None]) -> None:
        self._seconds = seconds
        self._expire = expire
        self._since: dict[T, float] = {}  # in the order in which they are due
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __contains__(self, member: T) -> bool:
        return member in self._since

    def __len__(self) -> int:
        return len(self._since)

    @property
    def since(self) -> float:
        """When the time began of the one who is due next; infinite where nobody is here."""
        return next(iter(self._since.values()), math.inf)

    def add(self, member: T) -> None:
        """Let the time of one run from now on, or anew."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        self._since.pop(member, None)
        self._since[member] = loop.time()
        if self._timer is None and self._seconds < math.inf:
            self._timer = loop.call_later(self._seconds, self._look)

    def discard(self, member: T) -> None:
        """Stop the time of one, if it is here. The timer stays: it looks, and finds what is due then."""
        self._since.pop(member, None)

    def pop_first(self) -> T | None:
        """Take out the one who is due next, and return them; None where nobody is here."""
        first = next(iter(self._since), None)
        if first is not None:
            del self._since[first]
        return first

    def _look(self) -> None:
        assert self._loop is not None
        self._timer = None
        now = self._loop.time()
        over = []
        for member, since in self._since.items():
            if since + self._seconds > now:
                self._timer = self._loop.call_at(since + self._seconds, self._look)
                break
            over.append(member)
        for member in over:
            del self._since[member]
        for member in over:
            self._expire(member)
