"""A data directory taken for one process, by whatever lock the system has, which ends with the process."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path
from typing import Protocol

from messageflow.errors import ConfigurationError

LOCK, PORTABLE = "streams.lock", "streams.lock.db"


class Lock(Protocol):
    """A directory that is taken."""

    def close(self) -> None:
        """Give it back."""


class _FileLock:
    """The kernel's lock on an open file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        os.close(self._descriptor)


def lock(directory: Path) -> Lock:
    """Take a data directory for this process, until the lock that is returned is closed.

    Raises:
        ConfigurationError: another process has it, or it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the data directory {directory} cannot be used: {error.strerror}. "
            "--data-dir takes another, --broker memory needs none"
        ) from None
    try:
        held = _take(directory, descriptor)
    except OSError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise ConfigurationError(
            f"the data directory {directory} is in use by another gateway (process {holder or 'unknown'}): "
            "end that one first; or --data-dir takes another, --broker memory needs none"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    if not isinstance(held, _FileLock):
        os.close(descriptor)
    return held


def _take(directory: Path, descriptor: int) -> Lock:
    """Take the lock.

    Raises:
        OSError: another process has it.
    """
    try:
        import fcntl
    except ImportError:
        return _portable(directory / PORTABLE)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return _FileLock(descriptor)


def _portable(path: Path) -> Lock:
    """A database that one process writes to, which SQLite knows how to tell on every system.

    Raises:
        BlockingIOError: another process does.
    """
    database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        database.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        database.close()
        raise BlockingIOError(str(error)) from None
    return database


def sync_names(directory: Path) -> None:
    """Bring to disk that the files of a directory exist, where a directory can be opened."""
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
