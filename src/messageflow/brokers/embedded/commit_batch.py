"""The batch of one group commit: what is stored together, and the publishers that wait for it.

Pure but for the futures of those publishers. Owns nothing on disk, and never decides when it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from messageflow.brokers.base import Later, Stored, Waiter
from messageflow.brokers.embedded.rows import Entry, RowValue, make_rows
from messageflow.core.stream import OVERHEAD
from messageflow.errors import BrokerError


class CommitBatch:
    """What one append stores: whole calls of `publish`, so that a call is stored wholly or not at all.

    Attributes:
        entries: what each row is made of, and becomes once it is stored.
        size: about how many bytes they take.
        error: why it was not stored, or not where it should be, once that is known.
    """

    __slots__ = ("_ends", "_keyed", "_keys", "entries", "error", "size")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.size = 0
        self._keys: set[tuple[str, str]] = set()
        self._keyed = 0  # entries that were looked at for it
        self.error: BrokerError | None = None
        self._ends: list[Callable[[BrokerError | None], None]] = []

    @property
    def waiting(self) -> int:
        """How many calls wait for it."""
        return len(self._ends)

    @property
    def rows(self) -> list[RowValue]:
        """The values of all rows, one after the other, as the log takes them."""
        return make_rows(self.entries)

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Channel and idempotency key of those that have one; asked where one is repeated, which is rare."""
        for _, channel, _, _, _, key in self.entries[self._keyed :]:
            if key:
                self._keys.add((channel, key))
        self._keyed = len(self.entries)
        return self._keys

    def add(self, entry: Entry) -> None:
        """Put a publication into the batch."""
        self.entries.append(entry)
        _, _, _, data, info, tags, _ = entry[3]
        self.size += OVERHEAD + len(data) + len(info) + len(tags)

    def wait(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Return a future for the end of this batch; cancelling it changes nothing for the others."""
        waiter = Waiter(loop=loop)
        self._ends.append(waiter.end)
        return waiter

    def tell(self, later: Later, stored: Stored) -> None:
        """Call this at the end of this batch, with the outcome or with an error."""
        self._ends.append(partial(later, stored))

    def end(self, error: BrokerError | None) -> None:
        """Tell all that wait that it is stored, or why it is not."""
        self.error = error
        for end in self._ends:
            end(error)
