"""The batch of one group commit: what is stored together, and the publishers that wait for it.

Pure but for the futures of those publishers. Owns nothing on disk, and never decides when it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from messageflow.brokers.base import Later, Stored, Waiter
from messageflow.brokers.embedded.rows import RowValue, make_row
from messageflow.core.retention import Retention
from messageflow.core.stream import OVERHEAD, Publication
from messageflow.errors import BrokerError


class CommitBatch:
    """What one append stores: whole calls of `publish`, so that a call is stored wholly or not at all.

    Attributes:
        rows: the values of all rows, one after the other, as the log takes them.
        entries: what each row becomes once it is stored.
        size: about how many bytes they take.
        keys: channel and idempotency key of those that have one.
        error: why it was not stored, or not where it should be, once that is known.
    """

    __slots__ = ("_ends", "entries", "error", "keys", "rows", "size")

    def __init__(self) -> None:
        self.rows: list[RowValue] = []
        self.entries: list[tuple[int, str, str, Publication, Retention]] = []  # id, channel, epoch, …
        self.size = 0
        self.keys: set[tuple[str, str]] = set()
        self.error: BrokerError | None = None
        self._ends: list[Callable[[BrokerError | None], None]] = []

    @property
    def waiting(self) -> int:
        """How many calls wait for it."""
        return len(self._ends)

    def add(self, row: int, channel: str, epoch: str, publication: Publication, retention: Retention, key: str) -> None:
        """Put a publication into the batch."""
        _, _, _, data, info, tags, _ = publication
        self.rows += make_row(row, channel, epoch, publication, retention, key)
        self.entries.append((row, channel, epoch, publication, retention))
        self.size += OVERHEAD + len(data) + len(info) + len(tags)
        if key:
            self.keys.add((channel, key))

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
