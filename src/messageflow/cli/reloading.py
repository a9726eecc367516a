"""`messageflow run --reload`: the command in a process of its own, ended and begun again when a source file changes.

Files are looked at ten times a second, which needs no library and works on any file system. The process that is
begun again has the port of the one before, so that pages come back to it; what they missed it has in its streams.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

SOURCES = (".py", ".html", ".jinja", ".jinja2", ".j2", ".toml")
PASSED_OVER = ("__pycache__", "node_modules", "site-packages")
EVERY = 0.1  # seconds
SHARE = 4  # of the time a large tree is looked at, and the rest slept
SETTLED = 0.05  # seconds without a change after the first: editors write in several steps
HURRY_AFTER, KILL_AFTER, FREE_WITHIN = 0.5, 1.5, 6.0  # seconds from the wish that a process end
BAD_USAGE = 2

Stamp = tuple[int, int, int]


def sources(directory: Path) -> dict[str, Stamp]:
    """Return the source files below a directory, each with what differs once it is written anew."""
    found: dict[str, Stamp] = {}
    waiting = [os.fspath(directory)]
    while waiting:
        try:
            files, directories = _look_into(waiting.pop())
        except OSError:  # it went as it was looked at, or is not ours to see
            continue
        found |= files
        waiting += directories
    return found


def _look_into(directory: str) -> tuple[dict[str, Stamp], list[str]]:
    files: dict[str, Stamp] = {}
    directories: list[str] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith("."):  # editors keep theirs under such names while somebody writes
                continue
            if entry.name.endswith(SOURCES):
                files[entry.path] = _stamp(entry)
            elif _is_looked_into(entry):
                directories.append(entry.path)
    return files, directories


def _stamp(entry: os.DirEntry[str]) -> Stamp:
    try:
        status = entry.stat()
    except OSError:  # it went, or is a link that leads nowhere
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_looked_into(entry: os.DirEntry[str]) -> bool:
    if entry.name in PASSED_OVER or not entry.is_dir(follow_symlinks=False):
        return False
    return not os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))


class Reloader:
    """One command, begun again at every change.

    Args:
        directory: whose source files are watched.
        arguments: of `messageflow`, without `--reload`.
    """

    def __init__(self, directory: Path, arguments: Sequence[str]) -> None:
        self._directory = directory
        self._arguments = arguments
        self._known = sources(directory)
        self._port = ""  # once it was bound

    def run(self) -> NoReturn:
        """Run the command until SIGTERM or SIGINT.

        Raises:
            SystemExit: SIGTERM ended it, or the arguments cannot be used.
            KeyboardInterrupt: SIGINT ended it.
        """
        signal.signal(signal.SIGTERM, _end)
        with tempfile.TemporaryDirectory(prefix="messageflow-") as scratch:
            port_file = Path(scratch, "port")
            while True:
                process = self._begin(port_file)
                try:
                    changed = self._until_change(process)
                    self._port = self._port or (port_file.read_text() if port_file.exists() else "")
                finally:
                    self._finish(process)
                click.secho(f"changed: {', '.join(changed)}", dim=True, err=True)

    def _begin(self, port_file: Path) -> subprocess.Popen[bytes]:
        again = ("--port", self._port) if self._port else ()
        command = [sys.executable, "-m", "messageflow.cli", *self._arguments, "--port-file", str(port_file), *again]
        return subprocess.Popen(command)

    def _until_change(self, process: subprocess.Popen[bytes]) -> list[str]:
        """Return the names of the files that changed, once they are at rest."""
        ended = False
        while True:
            began = time.monotonic()
            seen = sources(self._directory)
            if seen != self._known:
                break
            if not ended and process.poll() is not None:
                ended = True
                if process.returncode == BAD_USAGE:
                    raise SystemExit(BAD_USAGE)
                click.secho("it has ended; it is started again when a file changes", fg="yellow", err=True)
            time.sleep(max(EVERY, (time.monotonic() - began) * (SHARE - 1)))
        before, self._known = self._known, seen
        while True:
            time.sleep(SETTLED)
            seen = sources(self._directory)
            if seen == self._known:
                break
            self._known = seen
        names = {path for path, _ in before.items() ^ seen.items()}
        return sorted(os.path.relpath(path, self._directory) for path in names)

    def _finish(self, process: subprocess.Popen[bytes]) -> None:
        """Have the process end: in order, at once, or not asked; whatever had a receipt outlives each of them."""
        for patience in (HURRY_AFTER, KILL_AFTER - HURRY_AFTER):
            if process.poll() is not None:
                return
            process.terminate()
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                pass
        if process.poll() is None:
            process.kill()
            process.wait()
            self._until_free()

    def _until_free(self) -> None:
        """Wait for workers to find out that their parent is gone: until then they hold the port."""
        deadline = time.monotonic() + FREE_WITHIN
        while self._port and time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", int(self._port)))
                    probe.listen()
                    return
                except OSError:
                    time.sleep(SETTLED)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
