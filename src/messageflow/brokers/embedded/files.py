"""Whether the files that are open are still those which the next start will find.

Somebody may remove, rename or replace them, or the directory, while the gateway runs; the system lets it write on into
what nobody will find again. No receipt may be given for that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

COARSE = 50_000_000  # ns: two changes of a directory within so much may leave it the same time


class Displaced(Exception):
    """A file that is open is not where it was; what was written went to the one that is open."""


class OpenFiles:
    """The files of one data directory, as they are now.

    Args:
        directory: where they are.
        names: of the files, all open.
        growing: those of them that never become shorter.

    Raises:
        OSError: one is not there.
    """

    def __init__(self, directory: Path, names: Sequence[str], growing: Sequence[str]) -> None:
        self._directory = os.fspath(directory.absolute())
        self._growing = frozenset(growing)
        self._seen = _identify(os.stat(self._directory))
        self._settled = False  # whether another change since then would show
        self._files = {name: os.stat(self._path(name)) for name in names}

    def check(self) -> None:
        """Find out, by one question to the system, 1 µs, since a directory's time changes with what is in it.

        Raises:
            Displaced: they are not there any more.
        """
        try:
            state = _identify(os.stat(self._directory))
        except OSError as error:
            raise _make_displaced(self._directory, error) from None
        if state != self._seen or not self._settled:
            self._settled = time.time_ns() - state[2] > COARSE
            self.look()
            self._seen = state

    def look(self) -> None:
        """Look at each file: also for what `check` cannot see, since times are coarse and contents have none.

        Raises:
            Displaced: one is not there any more, is another one, or lost its end.
        """
        for name, before in self._files.items():
            path = self._path(name)
            try:
                now = os.stat(path)
            except OSError as error:
                raise _make_displaced(path, error) from None
            if (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
                raise Displaced(_explain(f"{path} is another file now"))
            if name in self._growing and now.st_size < before.st_size:
                raise Displaced(_explain(f"{path} was cut short"))
            self._files[name] = now

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


def _identify(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _make_displaced(path: str, error: OSError) -> Displaced:
    what = "is gone" if isinstance(error, FileNotFoundError) else f"cannot be looked at: {error.strerror}"
    return Displaced(_explain(f"{path} {what}"))


def _explain(what: str) -> str:
    return (
        f"storage_displaced: {what}; what is stored now would be lost with this process. Put back what was there, or "
        "restart the gateway, which begins with what it finds"
    )
