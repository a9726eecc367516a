"""Reading the streams of the embedded broker: from memory as far as that reaches, else from the log.

Owns the reads from the log; never a stream, and never writes.
"""

from __future__ import annotations

from collections.abc import Callable

from messageflow.brokers.base import HistoryPart
from messageflow.brokers.embedded.disk_reads import DiskReads
from messageflow.brokers.embedded.row_index import RowIndex
from messageflow.brokers.embedded.rows import follows
from messageflow.core.stream import Position
from messageflow.core.stream_table import StreamTable
from messageflow.core.weights import within
from messageflow.errors import Unrecoverable


class StreamReads:
    """The reading half of `brokers.base.StreamStore`.

    Args:
        streams: what memory holds.
        index: what the log holds.
        disk: reads from it.
        clock: seconds, as the publications have them.
    """

    def __init__(self, streams: StreamTable, index: RowIndex, disk: DiskReads, clock: Callable[[], float]) -> None:
        self._streams = streams
        self._index = index
        self._disk = disk
        self._clock = clock

    def close(self) -> None:
        """End the reads from the log."""
        self._disk.close()

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        now = self._clock()
        top = self._streams.position(channel)
        missed = self._streams.read_since(channel, position, now, limit)
        if missed is None:
            first = self._find_first_on_disk(channel, now)
            if position.epoch != top.epoch or first is None or not first <= position.offset + 1 <= top.offset:
                raise _make_unrecoverable(position)
            end = top.offset if limit is None else min(position.offset + limit, top.offset)
            missed, full = await self._disk.read(channel, range(position.offset + 1, end + 1), size)
            if full:
                end = position.offset + max(len(missed), 1)
            if not follows(missed, position, end):
                raise _make_unrecoverable(position)
        return HistoryPart(within(missed, size), top)

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart:
        now, top = self._clock(), self._streams.position(channel)
        if not limit:
            return HistoryPart([], top)
        first = self._find_first_on_disk(channel, now)
        stream = self._streams.get(channel)
        if first is not None and stream is not None:
            start, end = max(first, (offset or 0) + 1), top.offset
            if reverse:
                end = top.offset if offset is None else min(offset - 1, top.offset)
                start = max(first, end - limit + 1)
            end = min(end, start + limit - 1)
            if start <= end and start < stream.first:
                offsets = range(start, end + 1)
                found, _ = await self._disk.read(channel, offsets[::-1] if reverse else offsets, size)
                return HistoryPart(found, top)
        return HistoryPart(within(self._streams.read_page(channel, offset, limit, now, reverse=reverse), size), top)

    def _find_first_on_disk(self, channel: str, now: float) -> int | None:
        held = self._index.get(channel)
        return None if held is None else held.find_kept(now)


def _make_unrecoverable(position: Position) -> Unrecoverable:
    return Unrecoverable(f"offset {position.offset} of epoch {position.epoch!r} is not in the history")
