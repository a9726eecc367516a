"""Where each publication of a channel lies in the log: its row, its time, and which of them are kept.

The memory holds what is new; the log holds everything within the retention. The index says, for 16 bytes a publication,
which rows those are, and which of them nothing can ask for any more.

Pure: time is an argument.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from messageflow.brokers.embedded.rows import Entry
from messageflow.core.stream import Retention

GRACE = 60.0  # seconds a row stays at least, so that a restart does not forget the key of a publish tried again


class ChannelRows:
    """The rows of one channel: contiguous offsets, oldest first.

    Attributes:
        first: the offset of the oldest row.
        retention: how many publications are kept, and for how long.
        ids: the rows, those that were cut off at the front included until the next clearing.
        times: of their publications.
    """

    __slots__ = ("_start", "first", "ids", "retention", "times")

    def __init__(self, first: int) -> None:
        self.first = first
        self.retention = Retention(0, 0.0)
        self.ids = array("q")
        self.times = array("d")
        self._start = 0  # rows before it were dropped; the arrays are cut now and then

    def __len__(self) -> int:
        return len(self.ids) - self._start

    @property
    def next(self) -> int:
        """The offset after the newest row."""
        return self.first + len(self)

    def find_kept(self, now: float) -> int:
        """Return the first offset within the retention."""
        size, ttl = self.retention
        index = bisect_right(self.times, now - ttl, lo=max(self._start, len(self.ids) - size))
        return self.first + index - self._start

    def rows(self, first: int, end: int) -> list[int]:
        """Return the rows of the offsets from `first` to `end`, `end` excluded."""
        shift = self._start - self.first
        return self.ids[first + shift : end + shift].tolist()

    def count_surplus(self, now: float, most: int) -> int:
        """Return how many of the oldest rows no read can ask for and no retry can mean, `most` at most."""
        settled = bisect_right(self.times, now - GRACE, lo=self._start) - self._start
        return min(self.find_kept(now) - self.first, settled, most)

    def cut(self, count: int) -> list[int]:
        """Take off the oldest `count` rows and return them."""
        cut = self.ids[self._start : self._start + count].tolist()
        self._start += count
        self.first += count
        if self._start > 64 and self._start > len(self.ids) // 2:
            del self.ids[: self._start], self.times[: self._start]
            self._start = 0
        return cut


class DroppedRows(NamedTuple):
    """Rows to drop, and those of them which are the newest of their channel to be dropped."""

    ids: list[int]
    newest: list[int]


class RowIndex:
    """The rows of all channels."""

    def __init__(self) -> None:
        self._channels: OrderedDict[str, ChannelRows] = OrderedDict()  # the least recently trimmed first
        self.rows = 0

    def get(self, channel: str) -> ChannelRows | None:
        return self._channels.get(channel)

    def put(self, entries: Sequence[Entry]) -> None:
        """Note which publications lie in which rows."""
        channels = self._channels
        for row, channel, _, publication, retention, _ in entries:
            held = channels.get(channel)
            if held is None:
                held = channels[channel] = ChannelRows(publication.offset)
            held.retention = retention
            held.ids.append(row)
            held.times.append(publication.time)
        self.rows += len(entries)

    def remove(self, channel: str) -> DroppedRows:
        """Take off all rows of a channel."""
        cut = DroppedRows([], [])
        held = self._channels.get(channel)
        if held is not None:
            self._take(cut, channel, len(held))
        return cut

    def trim(self, now: float, *, most: int, channels: int = 2000) -> DroppedRows:
        """Take off rows that are past their time.

        Args:
            now: the time.
            most: rows to take off at most.
            channels: how many to look at.
        """
        cut = DroppedRows([], [])
        for _ in range(min(channels, len(self._channels))):
            channel, held = next(iter(self._channels.items()))
            self._channels.move_to_end(channel)
            self._take(cut, channel, held.count_surplus(now, most - len(cut.ids)))
            if len(cut.ids) >= most:
                break
        return cut

    def evict(self, rows: int) -> DroppedRows:
        """Take off the oldest rows of the largest channels, half of each at most, `rows` in all where there are."""
        cut = DroppedRows([], [])
        longest = sorted(self._channels.items(), key=lambda item: len(item[1]), reverse=True)
        for channel, held in longest:
            if len(cut.ids) >= rows:
                break
            self._take(cut, channel, min((len(held) + 1) // 2, rows - len(cut.ids)))
        return cut

    def _take(self, cut: DroppedRows, channel: str, count: int) -> None:
        if not count:
            return
        held = self._channels[channel]
        cut.ids.extend(held.cut(count))
        cut.newest.append(cut.ids[-1])
        self.rows -= count
        if not len(held):
            del self._channels[channel]
