"""Where the socket of several workers' parent lies: a directory that only this user may enter, with a short path.

The system takes paths of sockets of 107 bytes, and not every machine has a temporary directory that can be written;
so several places are tried, each by opening the socket there. What a cleaner removes is made anew, under its old name
first, so that who knows that name finds it. Owns the directories it made, never a socket.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from messageflow.errors import ConfigurationError

T = TypeVar("T")

SOCKET = "parent"
PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run")


class SocketDirectory:
    """A directory for a socket.

    Args:
        others: to be tried where no usual place will do.

    Attributes:
        path: of the directory, once there is one; it changes when another had to be made.
    """

    def __init__(self, others: Sequence[Path] = ()) -> None:
        self._others = others
        self._made: list[str] = []
        self.path = ""

    @property
    def socket(self) -> str:
        """The path of the socket."""
        return f"{self.path}/{SOCKET}"

    def make(self, listen: Callable[[str], T]) -> T:
        """Make a directory, the first or once more, and return what `listen` makes of the socket's path.

        Args:
            listen: raises OSError where the path will not do.

        Raises:
            ConfigurationError: there is no place for one.
        """
        if self.path and _restore(self.path):
            try:
                return listen(self.socket)
            except OSError:
                pass
        tried = list(dict.fromkeys(self._places()))
        for place in tried:
            try:
                made = tempfile.mkdtemp(prefix="messageflow-", dir=place)  # of mode 0700
            except OSError:
                continue
            try:
                listening = listen(f"{made}/{SOCKET}")
            except OSError:
                shutil.rmtree(made, ignore_errors=True)
                continue
            self._made.append(made)
            self.path = made
            return listening
        raise ConfigurationError(
            "several workers need a directory for their socket, one that can be written and has a short path; none of "
            f"{', '.join(tried)} will do. Set TMPDIR to one, mount a tmpfs at /tmp, or run with --workers 1"
        )

    def remove(self) -> None:
        """Remove all that was made."""
        for path in self._made:
            shutil.rmtree(path, ignore_errors=True)

    def _places(self) -> Iterator[str]:
        for name in ("TMPDIR", "XDG_RUNTIME_DIR"):
            if os.environ.get(name):
                yield os.path.abspath(os.environ[name])
        yield from PLACES
        for path in self._others:
            yield os.path.abspath(path)


def _restore(path: str) -> bool:
    """Make a directory of this name again where it has gone. Returns whether it is there, and nobody else's."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError:
        return False
    found = os.lstat(path)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
