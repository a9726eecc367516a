"""What is wrong with the storage: what a failure means, for the call it befell and for all that come after it.

Owns the verdicts; never stores, never retries.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from messageflow.brokers.embedded.data_directory import DataDirectory
from messageflow.brokers.embedded.files import Displaced, OpenFiles
from messageflow.errors import BrokerError, NoRoom, Unanswered

log = logging.getLogger("messageflow.broker")

MAYBE_FULL = ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_SHMMAP", "SQLITE_IOERR_SHMOPEN")


class StorageHealth:
    """The state of one data directory.

    Args:
        directory: which.

    Attributes:
        trouble: why nothing it says can be trusted until a restart; empty while all is well.
        displaced: why what is stored now would not be found at the next start; all is kept until then.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.trouble = ""
        self.displaced = ""

    def check_files(self, files: OpenFiles) -> None:
        """See that what was stored is where the next start will find it.

        Raises:
            NoRoom: it is not.
        """
        try:
            files.check()
        except Displaced as error:
            self.note_displaced(error)
            raise NoRoom(self.displaced) from None

    def note_displaced(self, error: BaseException) -> BrokerError:
        """The files are not where they were. Return what that means for what was just stored."""
        if not self.displaced:
            log.critical("storage_displaced", extra={"error": str(error), "directory": str(self._directory)})
        self.displaced = str(error)
        return Unanswered(self.displaced)

    def note_files(self, error: BaseException | None) -> None:
        """The files were looked at: they are where they were, or an error says that they are not."""
        if error is not None:
            self.note_displaced(error)
        elif self.displaced:
            self.displaced = ""
            log.warning("storage_back", extra={"directory": str(self._directory)})

    def judge(self, error: BaseException, data: DataDirectory) -> BrokerError:
        """Say what a failure of the storage means; one after which nothing it says can be trusted ends all storing."""
        name = getattr(error, "sqlite_errorname", "") if isinstance(error, sqlite3.Error) else ""
        if name == "SQLITE_FULL" or (name in MAYBE_FULL and data.is_full()):
            log.error("storage_full", extra={"directory": str(self._directory)})
            return NoRoom(f"storage_full: there is no room left in {self._directory}")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            log.error("storage_locked", extra={"directory": str(self._directory)})
            return NoRoom(f"storage_locked: another program holds a lock on the log in {self._directory}")
        if not self.trouble:
            self.trouble = f"storage_failed: {error or type(error).__name__}; restart the gateway once the disk is well"
            log.critical("storage_failed", extra={"error": str(error), "directory": str(self._directory)})
            data.seal()
        return Unanswered(self.trouble)
