"""From the log into memory, at the start: every row proved against its neighbour, or the log is damaged.

A row is good when its checksum is right, its offset follows the one before it in its channel, and its tag chains from
there. Where a channel's oldest row must begin is in the log's floors. Owns nothing once the start is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from messageflow.brokers.base import Ack, Stored
from messageflow.brokers.embedded.log import DamagedFile, StreamLog
from messageflow.brokers.embedded.row_index import RowIndex
from messageflow.brokers.embedded.rows import Row
from messageflow.core.idempotency import IdempotencyWindow
from messageflow.core.stream import Position, Retention, chain
from messageflow.core.stream_table import StreamTable


class RecoveredLog(NamedTuple):
    """What the log held."""

    rows: RowIndex
    garbage: list[int]  # rows of streams that were given up
    newest: float  # the time of the newest row; 0 without any


def recover_log(log: StreamLog, streams: StreamTable, stored: IdempotencyWindow[Stored], ack: Ack) -> RecoveredLog:
    """Fill `streams` and `stored` from the log.

    Raises:
        DamagedFile: a row does not read as it was written.
        sqlite3.DatabaseError: SQLite finds the file damaged.
    """
    index, garbage, newest = RowIndex(), [], 0.0
    floors: dict[str, Position] = {}
    for floor in log.read_floors():
        floors[floor.channel] = floor.position
        streams.restore(floor.channel, floor.position, Retention(1, 1.0))
        newest = max(newest, floor.time)
    positions = dict(floors)
    for row in log.read_rows():
        if _is_below(row, floors.get(row.channel)):
            garbage.append(row.id)  # dropped in part, when the process ended
            continue
        before = positions.get(row.channel)
        if before is None or (before.epoch != row.epoch and row.offset == 1):
            garbage.extend(index.remove(row.channel).ids)
            before = Position(row.epoch, 0)
            streams.restore(row.channel, before, row.retention)
        _prove(row, before)
        positions[row.channel] = row.position
        publication = row.publication
        streams.take(row.channel, row.retention, publication)
        index.put(row.channel, row.epoch, publication, row.id, row.retention)
        if row.key:
            stored.put(row.channel, row.key, Stored(row.position, ack), row.time)
        newest = max(newest, row.time)
    return RecoveredLog(index, garbage, newest)


def _is_below(row: Row, floor: Position | None) -> bool:
    return floor is not None and row.epoch == floor.epoch and row.offset <= floor.offset


def _prove(row: Row, before: Position) -> None:
    if not row.is_sound:
        raise DamagedFile(f"row {row.id} does not match its checksum")
    if row.epoch != before.epoch or row.offset != before.offset + 1 or row.tag != chain(before.tag, row.data):
        raise DamagedFile(f"row {row.id} does not follow offset {before.offset} of {row.channel!r}")


class Timeline:
    """Seconds that never go back, not even over a restart with the clock set back.

    They are near to the seconds since 1970, and steps of the clock while the process runs do not touch them.

    Args:
        clock: monotonic seconds.
        wall: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead = wall() - clock()

    def begin_after(self, time: float) -> None:
        """Be later than a time that was stored."""
        self._ahead = max(self._ahead, time - self._clock())

    def __call__(self) -> float:
        return self._clock() + self._ahead
