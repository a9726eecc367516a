"""From the log into memory, at the start: every row proved against its neighbour, or the log is damaged.

A row is good when its checksum is right, its offset follows the one before it in its channel, and its tag chains from
there. Where a channel's oldest row must begin is in the log's floors. Owns nothing once the start is over, and decides
nothing of whether a data directory may be opened (`data_directory`).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from messageflow.brokers.base import Ack, Stored
from messageflow.brokers.embedded.data_directory import LOG, DataDirectory, open_data_directory, set_aside
from messageflow.brokers.embedded.log import DamagedFile, StreamLog
from messageflow.brokers.embedded.row_index import RowIndex
from messageflow.brokers.embedded.rows import Row
from messageflow.core.idempotency import IdempotencyWindow
from messageflow.core.stream import Position, Retention, chain
from messageflow.core.stream_table import StreamTable
from messageflow.core.versions import Version
from messageflow.errors import ConfigurationError

log = logging.getLogger("messageflow.broker")


class RecoveredLog(NamedTuple):
    """What the log held."""

    rows: RowIndex
    garbage: list[int]  # rows of streams that were given up
    newest: float  # the time of the newest row; 0 without any


class OpenedStreams(NamedTuple):
    """A data directory that was opened, and what is known of its streams."""

    data: DataDirectory
    streams: StreamTable
    found: RecoveredLog


def open_streams(
    directory: Path,
    make_streams: Callable[[], StreamTable],
    stored: IdempotencyWindow[Stored],
    ack: Ack,
    *,
    reset_damaged: bool,
) -> OpenedStreams:
    """Open a data directory and read what it holds; begin anew where that is damaged and may be set aside.

    Raises:
        ConfigurationError: it is in use, cannot be written, or holds a damaged or a foreign file.
    """
    try:
        return _open(directory, make_streams(), stored, ack)
    except DamagedFile as error:
        if not reset_damaged:
            raise ConfigurationError(
                f"the log {directory / LOG} is damaged: {error}. --reset-damaged sets it aside and begins "
                "anew; clients are told that their history is lost"
            ) from None
        log.error("log_set_aside", extra={"why": str(error), "file": str(set_aside(directory))})
        return _open(directory, make_streams(), stored, ack)


def _open(directory: Path, streams: StreamTable, stored: IdempotencyWindow[Stored], ack: Ack) -> OpenedStreams:
    data = open_data_directory(directory, synced=ack == "disk")
    try:
        found = recover_log(data.log, streams, stored, ack)
    except BaseException as error:
        data.close()
        if isinstance(error, sqlite3.DatabaseError) and error.sqlite_errorname.startswith("SQLITE_CORRUPT"):
            raise DamagedFile(str(error)) from None
        if isinstance(error, sqlite3.Error):
            raise ConfigurationError(f"the log {directory / LOG} cannot be read: {error}") from None
        raise
    streams.epoch = data.epoch
    return OpenedStreams(data, streams, found)


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
        publication, retention = row.publication, row.retention
        stream = streams.retain(row.channel, retention)
        streams.commit(row.channel, stream, publication)
        index.put([(row.id, row.channel, stream, publication, retention, row.key)])
        if row.key:
            stored.put(row.channel, row.key, Stored(row.epoch, row.offset, row.tag, ack), row.time)
        newest = max(newest, row.time)
    _restore_versions(log, streams)
    return RecoveredLog(index, garbage, newest)


def _restore_versions(log: StreamLog, streams: StreamTable) -> None:
    for channel, epoch, number, version_epoch in log.read_versions():
        if streams.position(channel).epoch == epoch:  # else it is of a life of the stream that is over
            streams.set_version(channel, Version(number, version_epoch))


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
