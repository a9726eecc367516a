"""What a channel has just written, kept encoded for those of its readers that fell behind a little.

A crowd that takes a little less than is published falls behind together, within a moment. What they miss is the same
batch for all, so it is kept as it was written and handed to each when its socket has room: no read, no encoding, no
turn to wait for, and in memory once, however many stand before it. Only who has fallen further behind than this
reaches goes to the history (`hub.lagging_sessions`).

A backlog lives while somebody reads from it. It reaches back to the slowest that still takes something, holds no more
than `EACH` for every reader it serves, `LEAST` for however few, and all together stay within `SHARE` of the memory for
slow readers; past it the largest gives up its oldest batches.

Owns the batches and where each reader stands among them. Never writes.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from messageflow.core.stream import Position, Publication
from messageflow.hub.transport import Encoding, Member

SHARE = 4  # the part of the memory for slow readers that batches may take
EACH = 262_144  # bytes of batches for each reader that is behind; they are shared
LEAST = 4 << 20  # bytes of batches for however few; one flush of large messages may be as much as is for one
ROOM = 16  # the part of it that is made free at once, so that making room is rare
IDLE_AFTER = 20.0  # seconds after which nothing is kept for a reader that takes nothing; one thread may read for many
FEW_TICKS = 2  # of the heartbeat, for which a reader may stand still and count among those that take something
FRESH = (0, 0)
OUR_REFERENCES = 3  # to what a batch holds, while it is looked at: its own, the name's and the argument's
FROM_HISTORY = -1  # where a reader stands that has to go to the history


class EncodedBatch(NamedTuple):
    """What was written at once.

    Args:
        start: the offset before it; 0 in a channel without history.
        end: where a session that got it stands; None in a channel without history.
        data: what was written, by encoder.
        time: when, on the hub's clock.
        publications: what is in it, where not all of it is for everybody; otherwise nothing.
    """

    start: int
    end: Position | None
    data: Mapping[Encoding, bytes]
    time: float
    publications: Sequence[Publication] = ()

    @property
    def size(self) -> int:
        return sum(map(len, self.data.values())) + sum([publication.cost for publication in self.publications])


def count_shared(batches: Iterable[Mapping[Encoding, bytes]]) -> int:
    """Return the bytes by which buffers that hold the same batches seem to hold more than they do."""
    return sum(
        len(data) * max(0, sys.getrefcount(data) - OUR_REFERENCES) for batch in batches for data in batch.values()
    )


class Backlog:
    """The newest batches of one channel, numbered, and its readers that fell behind.

    Args:
        backlogs: among which it keeps to a budget.

    Attributes:
        readers: the number of the batch that each reader takes next; `FROM_HISTORY` where that is not known.
        next: the number of the batch that is yet to be made; who stands there has all.
        size: bytes of what is kept.
    """

    def __init__(self, backlogs: Backlogs) -> None:
        self._backlogs = backlogs
        self._batches: OrderedDict[int, EncodedBatch] = OrderedDict()
        self._starts: dict[int, int] = {}  # the batch that follows an offset
        self._idle: dict[Member, tuple[int, int]] = {}  # where each stood, and for how many ticks
        self.readers: dict[Member, int] = {}
        self.next = 0
        self.size = 0

    def add(
        self,
        start: int,
        end: Position | None,
        data: Mapping[Encoding, bytes],
        publications: Sequence[Publication] = (),
    ) -> None:
        """Keep a batch that is being written, see `EncodedBatch`."""
        batch = EncodedBatch(start, end, data, self._backlogs.clock(), publications)
        self._batches[self.next] = batch
        if end is not None:
            self._starts.setdefault(start, self.next)
        self.next += 1
        self.size += batch.size
        self._backlogs.note_growth(batch.size)
        most = max(LEAST, EACH * len(self.readers))
        while self.size > most:
            self.drop_oldest()

    def get(self, number: int) -> EncodedBatch | None:
        """Return a batch, unless it is given up or yet to be made."""
        return self._batches.get(number)

    def find_place(self, session: Member, behind: Position | None) -> int | None:
        """Return which batch a reader takes next, None where what it needs is not here."""
        number = self.readers.get(session, FROM_HISTORY)
        if number == self.next or number in self._batches:
            return number
        return self._starts.get(behind.offset) if behind is not None else None

    def holds(self, offset: int, encoder: Encoding) -> bool:
        """Whether a reader at an offset can go on from here, in its encoding."""
        batch = self._batches.get(self._starts.get(offset, FROM_HISTORY))
        return batch is not None and encoder in batch.data

    def drop_oldest(self) -> None:
        """Give up the oldest batch."""
        number, batch = self._batches.popitem(last=False)
        if self._starts.get(batch.start) == number:
            del self._starts[batch.start]
        self.size -= batch.size
        self._backlogs.size -= batch.size

    def count_shared(self) -> int:
        """See the function of this name."""
        return count_shared(batch.data for batch in self._batches.values())

    def end(self) -> None:
        """Nobody is behind any more: give up everything."""
        while self._batches:
            self.drop_oldest()
        self._backlogs.forget(self)

    def tick(self, patience: int) -> None:
        """Give up what only readers need that took nothing for so many ticks, or nobody."""
        if not self._batches:  # as behind most of very many that sleep
            return
        idle = self._idle
        self._idle = {}
        for session, number in self.readers.items():
            stood, ticks = idle.get(session, (number, -1))
            ticks = ticks + 1 if stood == number else 0
            self._idle[session] = (number, ticks)
        self.drop_idle(patience)

    def drop_idle(self, patience: int) -> None:
        """Give up what only readers need that took nothing for so many ticks, or nobody."""
        idle, needed = self._idle, self.next
        for session, number in self.readers.items():
            if number >= 0 and idle.get(session, FRESH)[1] < patience:
                needed = min(needed, number)
        while self._batches and next(iter(self._batches)) < needed:
            self.drop_oldest()

    def list_taking(self) -> list[int]:
        """Return the numbers at which those readers stand that have not been idle for long."""
        idle = self._idle
        return [n for session, n in self.readers.items() if n >= 0 and idle.get(session, FRESH)[1] < FEW_TICKS]

    def measure_wait(self, number: int) -> float:
        """Return for how many seconds a batch has been waiting; 0 for the one that is yet to be made."""
        batch = self._batches.get(number)
        return self._backlogs.clock() - batch.time if batch is not None else 0.0


class Backlogs:
    """The backlogs of one hub.

    Args:
        memory: bytes for slow readers.
        tick_length: seconds between two calls of `tick`.
        clock: monotonic seconds.

    Attributes:
        size: bytes of all that is kept.
        open: those that somebody stands in; never another object.
    """

    def __init__(self, memory: int, tick_length: float, clock: Callable[[], float]) -> None:
        self.budget = memory // SHARE
        self.clock = clock
        self.size = 0
        self._patience = max(1, round(IDLE_AFTER / tick_length))
        self.open: dict[Backlog, None] = {}

    def __bool__(self) -> bool:
        return bool(self.open)

    def begin(self) -> Backlog:
        """Return a backlog for a channel in which somebody has fallen behind."""
        backlog = Backlog(self)
        self.open[backlog] = None
        return backlog

    def forget(self, backlog: Backlog) -> None:
        """It is no longer needed."""
        self.open.pop(backlog, None)

    def note_growth(self, size: int) -> None:
        """A backlog has taken so many bytes."""
        self.size += size
        if self.size > self.budget:
            self._make_room()

    def _make_room(self) -> None:
        room = self.budget - self.budget // ROOM
        while self.size > room:
            largest = max(self.open, key=lambda backlog: backlog.size)
            most = largest.size
            while self.size > room and largest.size > most // 2:
                largest.drop_oldest()

    def drop_idle(self) -> None:
        """Memory is short: give up what only readers need that take nothing now."""
        for backlog in self.open:
            backlog.drop_idle(FEW_TICKS)

    def count_shared(self) -> int:
        """See `Backlog.count_shared`."""
        return sum(backlog.count_shared() for backlog in self.open)

    def tick(self) -> None:
        """Give up what nobody is going to take."""
        for backlog in self.open:
            backlog.tick(self._patience)
