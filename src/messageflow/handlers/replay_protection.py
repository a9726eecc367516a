"""Whether a signed request is new: its time is now, and its id was not seen before.

Ids are kept for as long as their time would pass, so many at most. Beyond that the oldest second is forgotten, and
from then on what claims to be of that second or before it is too old: what is bounded is the window, never the
certainty. The memory is that of one process.

Owns the ids. May be asked by any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from messageflow.core.webhook_signatures import TOLERANCE

IDS = 250_000  # kept at most, at some 100 bytes each: 166 s at 1,500 requests a second

Reason = Literal["", "old", "early", "replayed"]


class Replays:
    """The ids of one process.

    Args:
        clock: seconds since 1970.
        size: how many are kept.
    """

    def __init__(self, clock: Callable[[], float], size: int = IDS) -> None:
        self._clock = clock
        self._size = size
        self._seen: dict[int, set[str]] = {}  # by their second
        self._count = 0
        self._floor = 0  # the newest second that was forgotten although its time would pass
        self._lock = threading.Lock()

    def check(self, timestamp: int) -> Reason:
        """Return why something of that time is not taken, empty where it may be."""
        now = self._clock()
        if timestamp > now + TOLERANCE:
            return "early"
        return "old" if timestamp < now - TOLERANCE or timestamp <= self._floor else ""

    def enter(self, message_id: str, timestamp: int) -> Reason:
        """Note a request that was believed; return why it is not to be taken, empty where it is new."""
        with self._lock:
            if reason := self.check(timestamp):
                return reason
            ids = self._seen.get(timestamp)
            if ids is None:
                self._forget_old()
                ids = self._seen[timestamp] = set()
            elif message_id in ids:
                return "replayed"
            ids.add(message_id)
            self._count += 1
            if self._count > self._size and len(self._seen) > 1:
                self._floor = max(self._floor, min(self._seen))
                self._drop(min(self._seen))
            return ""

    def _forget_old(self) -> None:
        oldest = self._clock() - TOLERANCE
        for second in [each for each in self._seen if each < oldest]:
            self._drop(second)

    def _drop(self, second: int) -> None:
        self._count -= len(self._seen.pop(second))
