"""Where the sockets of several workers lie: a directory that only this user may enter, with a path short enough.

The system takes paths of sockets of 107 bytes, and not every machine has a temporary directory that can be written;
so several places are tried, each by opening a socket there. What a cleaner removes is made anew. Owns the
directories it made, never a socket.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from messageflow.errors import ConfigurationError

REQUESTS = "requests"
LONGEST = "publications-" + "9" * 9  # no name of a socket is longer
PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run")


class SocketDirectory:
    """A directory for sockets.

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
    def requests(self) -> str:
        """The path of the socket for requests."""
        return f"{self.path}/{REQUESTS}"

    def is_whole(self) -> bool:
        """Whether the socket for requests is still found by its path."""
        return os.path.exists(self.requests)

    def make(self) -> None:
        """Make a directory, the first or another one.

        Raises:
            ConfigurationError: there is no place for one.
        """
        tried = list(dict.fromkeys(self._places()))
        for place in tried:
            made = _directory_in(place)
            if made:
                self._made.append(made)
                self.path = made
                return
        raise ConfigurationError(
            "several workers need a directory for their sockets, one that can be written and has a short path; none of "
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


def _directory_in(place: str) -> str:
    """Return a new directory in a place, empty where sockets cannot be opened in one."""
    try:
        made = tempfile.mkdtemp(prefix="messageflow-", dir=place)  # of mode 0700
    except OSError:
        return ""
    path = f"{made}/{LONGEST}"
    try:
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.bind(path)
        os.unlink(path)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        return ""
    return made
