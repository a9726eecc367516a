"""The data directory of the embedded broker: opened by one process at a time, checked, and found whole or not.

`open_data_directory` refuses what it must not touch: a directory in use, a file of another program, a damaged log. It
decides whether a stream could have lost something since the log was last written to; if so, all streams go into a new
epoch.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Collection
from pathlib import Path

from messageflow.brokers.embedded.files import OpenFiles
from messageflow.brokers.embedded.locking import LOCK, lock, sync_names
from messageflow.brokers.embedded.log import ForeignFile, LogReader, StreamLog
from messageflow.brokers.embedded.rows import Rows, VersionEntry
from messageflow.brokers.embedded.truncation_detection import Mark, TailMark, read_boot_id
from messageflow.brokers.local import new_epoch
from messageflow.core.stream import Publication
from messageflow.errors import ConfigurationError

log = logging.getLogger("messageflow.broker")

LOG, TAIL, SEAL = "streams.db", "streams.tail", "streams.failed"
FULL = 1 << 20  # bytes of room below which an error of a write is believed to be for want of it
BESIDE = ("", "-wal", "-shm")  # what SQLite keeps of one database

_tuple = tuple.__new__  # a fifth of what the class's own takes (benchmarks: push)


class DataDirectory:
    """An open data directory.

    Args:
        directory: where it is; made when it is not there.
        synced: whether every append is synced to disk.

    Attributes:
        log: the log, for the writer's thread once that runs.
        reader: reads from the log beside it.
        files: knows whether all of this is still where it was.
        epoch: of streams that are yet to begin.

    Raises:
        ConfigurationError: the directory is in use, cannot be written, or holds the file of another program.
        DamagedFile: the log does not read as it was written.
    """

    def __init__(self, directory: Path, *, synced: bool) -> None:
        self._directory = directory
        self._synced = synced
        self._lock = lock(directory)
        try:
            os.close(os.open(directory / LOG, os.O_RDWR | os.O_CREAT, 0o600))  # nobody else's to read
            self.log = StreamLog(directory / LOG, synced=synced)
            self.tail = TailMark(directory / TAIL)
            sync_names(directory)
        except BaseException:
            self._lock.close()
            raise
        self._boot = read_boot_id()
        self.epoch = self._resume()
        self.reader = LogReader(directory / LOG)
        self.files = OpenFiles(directory, (*(f"{LOG}{end}" for end in BESIDE), TAIL, LOCK), growing=(LOG, TAIL))

    def _resume(self) -> str:
        """Find out whether all is there, begin a new epoch if not, and say that the log is open."""
        last, epoch = self.log.read_last_id(), self.log.read_fact("epoch")
        missing = self._what_may_be_missing(last)
        if not epoch or missing:
            epoch = new_epoch()
            self.log.rename_epochs(epoch)
        if missing:
            log.warning("new_epoch", extra={"why": missing, "file": str(self._directory / LOG)})
        (self._directory / SEAL).unlink(missing_ok=True)
        self._mark = Mark(self._boot, last, self.log.read_tag(last) or "", self._synced)
        self.tail.write(self._mark)
        self.tail.sync()  # a power cut leaves this mark or a later one
        return epoch

    def _what_may_be_missing(self, last: int) -> str:
        mark = self.tail.read()
        if (self._directory / SEAL).exists():
            return "the storage failed last time"
        if mark is None:
            return "it is not known where the log ended" if last else ""
        if last < mark.id or (mark.tag and self.log.read_tag(mark.id) not in (None, mark.tag)):
            return "the log does not end where it ended last time"
        if not mark.proves_whole(self._boot):
            return "the machine stopped before all was on disk (`ack = disk` waits for that)"
        return ""

    def append(self, rows: Rows, end: Publication, last: int, versions: Collection[VersionEntry] = ()) -> None:
        """Store rows, all or none, and mark the end: the newest publication and its row.

        Args: as of `StreamLog.append`.

        Raises:
            Displaced: they are stored, but not where the next start will look.
        """
        self.log.append(rows, versions)
        self._mark = _tuple(Mark, (self._boot, last, end.tag, self._synced, False))
        self.tail.write(self._mark)
        self.files.check()

    def is_full(self) -> bool:
        """Whether the file system has as good as no room left."""
        try:
            return shutil.disk_usage(self._directory).free < FULL
        except OSError:
            return False

    def seal(self) -> None:
        """Leave word that what was written last may not be there at the next start, as far as that can be done."""
        try:
            (self._directory / SEAL).touch()
        except OSError as error:
            log.error("seal_failed", extra={"error": str(error)})

    def finish(self) -> None:
        """Bring everything to disk and mark it as whole. Runs in the writer's thread, as its last job."""
        self.log.checkpoint(truncate=True)
        self.tail.write(self._mark._replace(closed=True))
        self.tail.sync()

    def close(self) -> None:
        """Release everything."""
        self.reader.close()
        self.log.close()
        self.tail.close()
        self._lock.close()


def open_data_directory(directory: Path, *, synced: bool) -> DataDirectory:
    """Return the store of a data directory.

    Raises:
        ConfigurationError: it cannot be opened; says what to do.
        DamagedFile: the log does not read as it was written.
    """
    try:
        return DataDirectory(directory, synced=synced)
    except ForeignFile as error:
        raise ConfigurationError(
            f"{directory / LOG} is not a log of this messageflow: {error}. Move it away, or take another --data-dir"
        ) from None
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(
            f"the log {directory / LOG} cannot be opened: {error}. Is the disk full or read-only? "
            "--data-dir takes another directory, --broker memory needs none"
        ) from None


def set_aside(directory: Path) -> Path:
    """Rename a damaged log, and return where it is now."""
    kept = directory / f"{LOG}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    for end in BESIDE:
        source = directory / f"{LOG}{end}"
        if source.exists():
            source.rename(f"{kept}{end}")
    return kept
