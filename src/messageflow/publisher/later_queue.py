"""What waits to be sent later: in order, bounded in number, bytes and age, and counted.

What is lost is always the oldest, whether room runs out or time: a page is better served by the newest of ten thousand
progress bars than by the first. What is under way and failed goes back to the head, so it is among them.

Pure: time is an argument. Takes no lock; whoever shares one between threads does.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import msgspec

from messageflow.publisher import batch
from messageflow.publisher.batch import count_fitting

MOST_CALLS = 50_000
MOST_BYTES = 32 * 1024 * 1024
MOST_AGE = 600.0  # seconds: as long as a gateway knows an idempotency key, so that no call is ever stored twice
OVERHEAD = 200  # bytes that one call takes beside its own


class LaterStats(msgspec.Struct, frozen=True):
    """What became of the calls of `flow.later` in this process, since it began, for one gateway.

    Args:
        waiting: have no outcome yet, those under way included.
        waiting_bytes: what they take of memory, about.
        sent: are stored.
        refused: the gateway said no to them; the log says why.
        dropped_full: were the oldest when there was no room for another.
        dropped_old: waited for ten minutes.
    """

    waiting: int = 0
    waiting_bytes: int = 0
    sent: int = 0
    refused: int = 0
    dropped_full: int = 0
    dropped_old: int = 0


class _Waiting(NamedTuple):
    number: int
    since: float
    command: bytes

    @property
    def size(self) -> int:
        return len(self.command) + OVERHEAD


class LaterQueue:
    """The calls of one process to one gateway.

    Args:
        most_calls: how many may wait.
        most_bytes: how many bytes of them; one call may always wait.
        most_age: how many seconds each may wait.
    """

    def __init__(self, most_calls: int = MOST_CALLS, most_bytes: int = MOST_BYTES, most_age: float = MOST_AGE) -> None:
        self._most_calls = most_calls
        self._most_bytes = most_bytes
        self._most_age = most_age
        self._waiting: deque[_Waiting] = deque()
        self._under_way: list[_Waiting] = []
        self._bytes = 0
        self._sent = self._refused = self._dropped_full = self._dropped_old = 0
        self.newest = 0  # how many ever came: the number of the newest

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way)

    @property
    def stats(self) -> LaterStats:
        """Its figures now."""
        return LaterStats(len(self), self._bytes, self._sent, self._refused, self._dropped_full, self._dropped_old)

    @property
    def settled(self) -> int:
        """Up to which number all calls have an outcome."""
        if self._under_way:
            return self._under_way[0].number - 1
        return self._waiting[0].number - 1 if self._waiting else self.newest

    def has_room(self, command: bytes) -> bool:
        """Whether another call may wait without one that is dropped."""
        return not self or (len(self) < self._most_calls and self._bytes + len(command) + OVERHEAD <= self._most_bytes)

    def put(self, command: bytes, now: float) -> int:
        """Let a call wait. Returns how many of the oldest were dropped for it, none of them under way."""
        dropped = 0
        while self._waiting and not self.has_room(command):
            self._forget(self._waiting.popleft())
            dropped += 1
        self._dropped_full += dropped
        self.newest += 1
        added = _Waiting(self.newest, now, command)
        self._waiting.append(added)
        self._bytes += added.size
        return dropped

    def take(self, most: int = batch.COMMANDS) -> list[bytes]:
        """Return the oldest calls, as many as go into one request and at most so many; they are under way from now.

        Nothing else is: what was taken before is settled or put back.
        """
        oldest = [self._waiting[place].command for place in range(min(most, len(self._waiting)))]
        commands = oldest[: count_fitting(oldest)]
        self._under_way = [self._waiting.popleft() for _ in commands]
        return commands

    def settle(self, refused: int = 0) -> None:
        """What is under way has arrived, and so many of it were refused."""
        self._refused += refused
        self._sent += len(self._under_way) - refused
        for each in self._under_way:
            self._forget(each)
        self._under_way = []

    def put_back(self) -> None:
        """What is under way may not have arrived: it waits again, before all others."""
        self._waiting.extendleft(reversed(self._under_way))
        self._under_way = []

    def drop_old(self, now: float) -> int:
        """Drop what has waited too long. Returns how many."""
        dropped = 0
        while self._waiting and self._waiting[0].since + self._most_age <= now:
            self._forget(self._waiting.popleft())
            dropped += 1
        self._dropped_old += dropped
        return dropped

    def _forget(self, each: _Waiting) -> None:
        self._bytes -= each.size
