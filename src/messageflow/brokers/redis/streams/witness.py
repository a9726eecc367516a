"""What this machine remembers of Redis beside Redis: how far it was when a gateway here saw it last.

What Redis has is always all up to some point, be it after a crash, at a replica, or from an older file. So a gateway
writes *beats* into it, while it sees anything at all, and remembers the last one here. A gateway that finds that beat
in Redis again knows that nothing from before it is missing, and one that does not knows that something is. Each process
keeps a file of its own, locked while it lives; what processes left behind is judged by the next one that starts.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

log = logging.getLogger("messageflow.broker")

SUFFIX = ".seen"


class Seen(msgspec.Struct, frozen=True):
    """What a process has left.

    Args:
        node: its name.
        beat: the number of its last beat; 0 before the first.
        all: whether it has seen nothing since.
        durable: whether Redis was one that loses nothing it has acknowledged.
    """

    node: str
    beat: int
    all: bool = False
    durable: bool = False


class Witness:
    """The memory of one process, and those that others left.

    Args:
        directory: of all processes that use the same Redis in the same way; need not be there. None remembers nothing.
        node: this node's name.

    Attributes:
        stirred: something was seen since the last beat.
        beat: the number of the last one.
    """

    def __init__(self, directory: Path | None, node: str) -> None:
        self._directory = directory
        self._node = node
        self._file = -1
        self._left: list[tuple[Path, int]] = []  # files of processes that ended, and our locks on them
        self.stirred = False
        self.beat = 0

    def stir(self) -> None:
        """Something was acknowledged, announced or read."""
        self.stirred = True

    @property
    def remembers(self) -> bool:
        """Whether it is of any use to tell it anything."""
        return self._file >= 0

    def open(self) -> list[Seen | None]:
        """Begin to remember. Returns what processes that ended have left, None for what cannot be read."""
        if self._directory is None:
            return []
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = [_read(file) for file in self._take_left(self._directory)]
            self._file = os.open(self._place(self._directory), os.O_RDWR | os.O_CREAT, 0o600)
            _lock(self._file)
        except OSError as error:
            self._forget(error)
            return []
        self.write(Seen(self._node, 0), synced=True)
        _sync(self._directory)
        return found

    def _take_left(self, directory: Path) -> Iterator[int]:
        ours = self._place(directory)  # is there when a start that failed is tried again
        for path in sorted(set(directory.glob(f"*{SUFFIX}")) - {ours}):
            file = os.open(path, os.O_RDWR)
            try:
                _lock(file)
            except OSError:  # its process lives
                os.close(file)
                continue
            self._left.append((path, file))
            yield file

    def _place(self, directory: Path) -> Path:
        return directory / f"{self._node}{SUFFIX}"

    def discard_judged(self) -> None:
        """What others have left was judged, and is not needed any more."""
        for path, file in self._left:
            path.unlink(missing_ok=True)
            os.close(file)
        if self._left and self._directory is not None:
            _sync(self._directory)
        self._left.clear()

    def write(self, seen: Seen, *, synced: bool = False) -> None:
        """Remember this."""
        if self._file < 0:
            return
        try:
            os.ftruncate(self._file, os.pwrite(self._file, msgspec.json.encode(seen), 0))
            if synced:
                os.fsync(self._file)
        except OSError as error:
            self._forget(error)

    def _forget(self, error: OSError) -> None:
        log.warning("nothing_remembered", extra={"directory": str(self._directory), "error": error.strerror})
        self.close()

    def abandon(self) -> None:
        """As if it had never been opened: nothing was seen."""
        if self._file >= 0 and self._directory is not None:
            self._place(self._directory).unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of all files."""
        for file in (self._file, *(file for _, file in self._left)):
            if file >= 0:
                os.close(file)
        self._file = -1
        self._left.clear()


def _lock(file: int) -> None:
    """Lock a file for as long as it is open.

    Raises:
        OSError: another process has it, or this system knows no such locks.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError(errno.ENOTSUP, "this system has no locks that end with a process") from None
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(file: int) -> Seen | None:
    try:
        return msgspec.json.decode(os.pread(file, 1 << 16, 0), type=Seen)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _sync(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
