"""The log: every publication in the order it was stored, in one SQLite file.

Rows are appended at the end and dropped when their time is over. There is no index: appending to the end costs the same
whether a batch goes to one channel or to ten thousand (3.7 µs a row, where an index by channel costs 9 and a table by
channel 36), and where each publication lies is known in memory, see `row_index`.

One connection writes and checkpoints, and only from the writer's thread: SQLite before 3.51.3 can damage a file that
two connections write and checkpoint at once. Rows that are alike are one statement, so that the interpreter lock is
given up and taken back once: beside a busy event loop each taking may wait 5 ms (30 rows by `executemany`: 176 ms, so:
6 ms). What differs from publisher to publisher makes no rows unlike: an append has few statements, most often one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from messageflow.brokers.embedded.rows import (
    COLUMNS,
    FULL,
    OWN,
    PLAIN,
    SHARED,
    Likeness,
    Row,
    Rows,
    RowValue,
    VersionEntry,
)
from messageflow.core.stream import Position

APPLICATION = 0x4D464C57  # "MFLW" in the file's header: this file is ours
SCHEMA = 1
STATEMENT_VALUES = 93 * PLAIN * FULL  # whole rows of either kind, 1,023 at most; SQLite takes 32,766 values
WAL_BYTES = 16 << 20  # the write-ahead log shrinks to this when it begins anew
BUSY_SECONDS = 5.0

_TABLES = """
CREATE TABLE log (
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, epoch TEXT NOT NULL, offset INTEGER NOT NULL, tag TEXT NOT NULL,
    time REAL NOT NULL, ttl REAL NOT NULL, size INTEGER NOT NULL,
    data BLOB NOT NULL, info BLOB NOT NULL, tags BLOB NOT NULL, key TEXT NOT NULL, "check" INTEGER NOT NULL,
    exclude TEXT NOT NULL DEFAULT '',
    flags INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE floors (
    channel TEXT PRIMARY KEY, epoch TEXT NOT NULL, offset INTEGER NOT NULL, tag TEXT NOT NULL, time REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_VERSIONS = """
CREATE TABLE IF NOT EXISTS versions (
    channel TEXT PRIMARY KEY, epoch TEXT NOT NULL, number INTEGER NOT NULL, version_epoch TEXT NOT NULL
) WITHOUT ROWID
"""


def _quote(columns: str) -> str:
    """Return names of columns as a statement has them."""
    return columns.replace("check", '"check"')


_COLUMNS = _quote(COLUMNS)
_NO_ROW = -1  # its id

_encode = msgspec.json.Encoder().encode


class Floor(NamedTuple):
    """Where a channel stands below its oldest row, and when that was noted."""

    channel: str
    position: Position
    time: float


class ForeignFile(Exception):
    """The file is not a log of ours, or of a newer messageflow."""


class DamagedFile(Exception):
    """The file is a log of ours and does not read as it was written."""


class StreamLog:
    """The writing side, and the only one that may change the file.

    Args:
        path: the file; made when there is none.
        synced: sync to disk with every append; otherwise only with checkpoints and at the end.

    Raises:
        ForeignFile: it is something else.
        DamagedFile: SQLite finds it damaged.
        sqlite3.Error: the file cannot be opened or written.
    """

    def __init__(self, path: Path, *, synced: bool) -> None:
        self._ahead = f"{path}-wal"
        self._database = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            self._prepare(synced=synced)
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, *, synced: bool) -> None:
        try:
            self._identify()
            self._set("journal_mode = WAL")
            self._set(f"synchronous = {'FULL' if synced else 'NORMAL'}")
            self._set("wal_autocheckpoint = 0")
            self._set(f"journal_size_limit = {WAL_BYTES}")
            found = self._ask("PRAGMA quick_check(1)")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname == "SQLITE_NOTADB":
                raise ForeignFile("it is not an SQLite file") from None
            if error.sqlite_errorname.startswith("SQLITE_CORRUPT"):
                raise DamagedFile(str(error)) from None
            raise
        if found != "ok":
            raise DamagedFile(" ".join(found.split()))

    def _identify(self) -> None:
        """Make the tables in a new file; refuse one that is not ours."""
        application, schema = self._ask("PRAGMA application_id"), self._ask("PRAGMA user_version")
        if application == APPLICATION:
            if schema != SCHEMA:
                raise ForeignFile(f"the file has layout {schema} of another version of messageflow, not {SCHEMA}")
            self._add_what_is_newer()
        elif application or self._ask("SELECT count(*) FROM sqlite_master"):
            raise ForeignFile("it is an SQLite file of another program")
        else:
            self._database.executescript(
                f"BEGIN; {_TABLES} {_VERSIONS};"
                f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; COMMIT;"
            )

    def _add_what_is_newer(self) -> None:
        """Add what files of earlier versions lack; those versions go on reading and writing the file."""
        for name, kind in (("exclude", "TEXT NOT NULL DEFAULT ''"), ("flags", "INTEGER NOT NULL DEFAULT 0")):
            if not self._ask(f"SELECT count(*) FROM pragma_table_info('log') WHERE name = '{name}'"):
                self._database.execute(f"ALTER TABLE log ADD COLUMN {name} {kind}")
        self._database.execute(_VERSIONS)

    def _ask(self, sql: str) -> Any:
        return self._database.execute(sql).fetchone()[0]

    def _set(self, pragma: str) -> None:
        self._database.execute(f"PRAGMA {pragma}").fetchall()

    # Reading, before anything is written

    def read_rows(self) -> Iterator[Row]:
        """Yield every row in the order it was stored."""
        for values in self._database.execute(f"SELECT {_COLUMNS} FROM log ORDER BY id"):
            yield Row._make(values)

    def read_floors(self) -> Iterator[Floor]:
        """Yield where each channel begins, the longest noted first."""
        for channel, *position, time in self._database.execute(
            "SELECT channel, epoch, offset, tag, time FROM floors ORDER BY time"
        ):
            yield Floor(channel, Position(*position), time)

    def read_versions(self) -> Iterator[VersionEntry]:
        """Yield which version of its document each channel has, where it has one."""
        yield from self._database.execute("SELECT channel, epoch, number, version_epoch FROM versions")

    def read_fact(self, name: str) -> str:
        """Return what was last said by `state`, or an empty text."""
        found = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return found[0] if found else ""

    def read_last_id(self) -> int:
        """Return the highest id there ever was, so that none is given out twice."""
        return max(int(self.read_fact("last_id") or 0), int(self._ask("SELECT coalesce(max(id), 0) FROM log")))

    def read_tag(self, row: int) -> str | None:
        """Return the tag in a row, or None when it is not there."""
        found = self._database.execute("SELECT tag FROM log WHERE id = ?", (row,)).fetchone()
        return found[0] if found else None

    # Writing

    def append(self, rows: Rows, versions: Collection[VersionEntry] = ()) -> None:
        """Store rows at the end, all or none.

        Args:
            rows: as `make_rows` gives them.
            versions: of documents, each its channel's newest once these rows are stored.
        """
        if len(rows) == 1 and not versions:
            ((likeness, values),) = rows.items()
            if len(values) <= STATEMENT_VALUES:
                self._insert(likeness, values)
                return
        with self._transaction():
            self._database.executemany("INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?)", versions)
            for likeness, values in rows.items():
                for start in range(0, len(values), STATEMENT_VALUES):
                    self._insert(likeness, values[start : start + STATEMENT_VALUES])

    def _insert(self, likeness: Likeness, values: Sequence[RowValue]) -> None:
        epoch, ttl, size, flags, width = likeness
        places = 1
        while places * width < len(values):  # few different statements, so that all stay prepared
            places *= 2
        bound = [epoch, ttl, size, flags, *values]
        bound += (_NO_ROW,) * (places * width - len(values))
        self._database.execute(_build_insertion(places, width), bound)

    def drop(self, ids: Sequence[int], newest: Sequence[int], now: float) -> None:
        """Drop rows, and note where their channels begin from now on.

        Args:
            ids: the rows, of each channel its oldest.
            newest: those of them that were the newest of their channel.
            now: when this is noted.
        """
        with self._transaction():
            self.write_fact("last_id", str(self.read_last_id()))
            self._database.execute(
                "INSERT OR REPLACE INTO floors SELECT channel, epoch, offset, tag, ? FROM log "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (now, _encode_ids(newest)),
            )
            self._database.execute("DELETE FROM log WHERE id IN (SELECT value FROM json_each(?))", (_encode_ids(ids),))

    def forget(self, channels: Sequence[str], epoch: str) -> None:
        """Give up the positions of channels whose rows were dropped; streams that begin now do so in `epoch`."""
        with self._transaction():
            names = _encode(list(channels)).decode()
            for table in ("floors", "versions"):
                self._database.execute(
                    f"DELETE FROM {table} WHERE channel IN (SELECT value FROM json_each(?))", (names,)
                )
            self.write_fact("epoch", epoch)

    def write_fact(self, name: str, value: str) -> None:
        """Keep a fact about the whole."""
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def rename_epochs(self, epoch: str) -> None:
        """Put every stream, those yet to begin included, into a new epoch."""
        with self._transaction():
            for table in ("log", "floors", "versions"):
                self._database.execute(f"UPDATE {table} SET epoch = ?", (epoch,))
            self.write_fact("epoch", epoch)

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Bring what was appended from the write-ahead log into the file, synced."""
        self._database.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if truncate else 'PASSIVE'})").fetchall()

    def sync_ahead(self) -> None:
        """Have the write-ahead log synced, so that the next checkpoint finds it so. From any thread.

        SQLite syncs it again and judges its own errors; none of its locks is on this file.

        Raises:
            OSError: it cannot be.
        """
        descriptor = os.open(self._ahead, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def measure(self) -> int:
        """Return the bytes of the file that hold something."""
        used, free, page = (self._ask(f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size"))
        return int((used - free) * page)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Release the file. What was appended and not checkpointed stays in the write-ahead log."""
        self._database.close()


class LogReader:
    """Reads rows by their ids, on a connection that can neither write nor checkpoint.

    Args:
        path: the file of a `StreamLog` that is open.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, check_same_thread=False
        )
        self.read([])  # opens it, now, for later there may be another file of that name

    def read(self, ids: Sequence[int]) -> list[Row]:
        """Return the rows with these ids, in their order; those that were dropped are missing."""
        found = self._database.execute(
            f"SELECT {_COLUMNS} FROM log WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (_encode_ids(ids),),
        )
        return [Row._make(values) for values in found]

    def close(self) -> None:
        """Release the file."""
        self._database.close()


def _encode_ids(ids: Sequence[int]) -> str:
    """Return ids as one value that SQLite unfolds."""
    return _encode(list(ids)).decode()


@cache
def _build_insertion(places: int, width: int) -> str:
    """Return the statement that stores up to so many rows; places filled with nothing store nothing.

    What all share is bound once: a push in a batch costs 0.95 of what it did (benchmarks: push).
    """
    columns = _quote(", ".join((*SHARED, *OWN[width:], *OWN[:width])))
    shared = "?, ?, ?, ?" if width == FULL else "?, ?, ?, ?, x'', x'', ''"
    own = ", ".join("?" * width)
    if places == 1:
        return f"INSERT INTO log ({columns}) VALUES ({shared}, {own})"
    rows = ", ".join([f"({own})"] * places)
    return f"INSERT INTO log ({columns}) SELECT {shared}, * FROM (VALUES {rows}) WHERE column1 >= 0"
