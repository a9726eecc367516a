"""The batch of one group commit: what is stored together, and the publishers that wait for it.

Pure but for the futures of those publishers. Owns nothing on disk, and never decides when it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from messageflow.brokers.base import Later, Stored, Waiter
from messageflow.brokers.embedded.rows import Entry, Rows, VersionEntry, make_rows
from messageflow.core.idempotency import IdempotencyWindow
from messageflow.core.stream import Stream
from messageflow.core.versions import Version
from messageflow.errors import BrokerError


class CommitBatch:
    """What one append stores: whole calls of `publish`, so that a call is stored wholly or not at all.

    Attributes:
        entries: what each row is made of, and becomes once it is stored.
        size: about how many bytes they take: the sum of the publications' `cost`.
        versions: those of documents among it, the newest of each channel.
        error: why it was not stored, or not where it should be, once that is known.
    """

    __slots__ = ("_ends", "_former_versions", "_keyed", "_keys", "entries", "error", "size", "versions")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.size = 0
        self.versions: dict[str, VersionEntry] = {}
        self._former_versions: dict[Stream, Version | None] = {}
        self._keys: set[tuple[str, str]] = set()
        self._keyed = 0  # entries that were looked at for it
        self.error: BrokerError | None = None
        self._ends: list[Callable[[BrokerError | None], None]] = []

    @property
    def waiting(self) -> int:
        """How many calls wait for it."""
        return len(self._ends)

    @property
    def rows(self) -> Rows:
        """All rows, as the log takes them."""
        return make_rows(self.entries)

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Channel and idempotency key of those that have one; asked where one is repeated, which is rare."""
        for _, channel, _, _, _, key in self.entries[self._keyed :]:
            if key:
                self._keys.add((channel, key))
        self._keyed = len(self.entries)
        return self._keys

    def set_version(self, channel: str, stream: Stream, version: Version) -> None:
        """Say which version of its document a channel has once this batch is stored; its stream believes it at once."""
        self._former_versions.setdefault(stream, stream.version)
        stream.version = version
        self.versions[channel] = (channel, stream.epoch, *version)

    def has(self, channel: str, key: str) -> bool:
        """Whether something with this key, or anything where it is empty, is in a channel. Asked for what is known."""
        return (channel, key) in self.keys if key else any(entry[1] == channel for entry in self.entries)

    def wait(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Return a future for the end of this batch; cancelling it changes nothing for the others."""
        waiter = Waiter(loop=loop)
        self._ends.append(waiter.end)
        return waiter

    def tell(self, later: Later, stored: Stored) -> None:
        """Call this at the end of this batch, with the outcome or with an error."""
        self._ends.append(partial(later, stored))

    def roll_back(self, stored: IdempotencyWindow[Stored]) -> None:
        """Take back what is believed of it: nothing of it was stored."""
        for stream, version in self._former_versions.items():
            stream.version = version
        for _, _, stream, _, _, _ in self.entries:
            stream.rollback()
        for channel, key in self.keys:
            stored.discard(channel, key)

    def end(self, error: BrokerError | None) -> None:
        """Tell all that wait that it is stored, or why it is not."""
        self.error = error
        for end in self._ends:
            end(error)
