"""`messageflow run --reload`: the command in a process of its own, ended and begun again when a source file changes.

Files are looked at ten times a second, which needs no library and works on any file system. The process that is
begun again has the port of the one before, so that pages come back to it; what they missed it has in its streams. It
was made ready while the one before served, and who comes between the two waits (`handover`).
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
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from messageflow.cli.handover import IS_POSSIBLE, Child, KeptListener

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
        self._prepares = IS_POSSIBLE and __file__ not in self._known  # else what is prepared may be old when it begins
        self._prepared: Child | None = None
        self._kept: KeptListener | None = None
        self._port = ""  # once it was bound

    def run(self) -> NoReturn:
        """Run the command until SIGTERM or SIGINT.

        Raises:
            SystemExit: SIGTERM ended it, or the arguments cannot be used.
            KeyboardInterrupt: SIGINT ended it.
        """
        signal.signal(signal.SIGTERM, _end_at_once)
        with tempfile.TemporaryDirectory(prefix="messageflow-") as scratch:
            port_file = Path(scratch, "port")
            try:
                while True:
                    self._run_once(port_file)
            finally:
                if self._prepared is not None:
                    self._prepared.forget()

    def _run_once(self, port_file: Path) -> None:
        """Run the command from its start to a change."""
        child, self._prepared = self._prepared or self._child(port_file), None
        child.begin(self._kept)
        try:
            changed = self._until_change(child, port_file)
        finally:
            self._finish(child.process)
            child.forget()
        click.secho(f"changed: {', '.join(changed)}", dim=True, err=True)

    def _child(self, port_file: Path) -> Child:
        again = ("--port", self._port) if self._port else ()
        own = ("--port-file", str(port_file), "--drain-time", "0", *again)  # few pages, and all of them wait for it
        return Child([sys.executable, "-m", "messageflow.cli", *self._arguments, *own])

    def _until_change(self, child: Child, port_file: Path) -> list[str]:
        """Return the names of the files that changed, once they are at rest."""
        ended = False
        while True:
            began = time.monotonic()
            seen = sources(self._directory)
            if seen != self._known:
                break
            self._look_after(child, port_file)
            if not ended and child.process.poll() is not None:
                ended = True
                self._give_up(child.process)
            time.sleep(max(EVERY, (time.monotonic() - began) * (SHARE - 1)))
        before, self._known = self._known, seen
        while True:
            time.sleep(SETTLED)
            seen = sources(self._directory)
            if seen == self._known:
                break
            self._known = seen
        self._look_after(child, port_file)
        names = {path for path, _ in before.items() ^ seen.items()}
        return sorted(os.path.relpath(path, self._directory) for path in names)

    def _look_after(self, child: Child, port_file: Path) -> None:
        """Take what a process that has started leaves, and have the next one ready."""
        if not self._port and port_file.exists():
            self._port = port_file.read_text()
        listener = child.listener()
        if listener is not None:
            self._let_go()
            self._kept = listener
            if self._prepares and self._prepared is None:
                self._prepared = self._child(port_file)

    def _give_up(self, process: subprocess.Popen[bytes]) -> None:
        """Let nobody wait for a process that has ended by itself.

        Raises:
            SystemExit: it will never start.
        """
        self._let_go()
        if process.returncode == BAD_USAGE:
            raise SystemExit(BAD_USAGE)
        click.secho("it has ended; it is started again when a file changes", fg="yellow", err=True)

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.listener.close()
            self._kept = None

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
            workers = _workers(process.pid)
            process.kill()
            process.wait()
            if self._kept is None or (self._kept.shared and not _end(workers)):
                self._let_go()
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


def _workers(process: int) -> list[int]:
    """Return the processes that a process has started; none where the system does not tell."""
    try:
        return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def _end(processes: Sequence[int]) -> bool:
    """Kill the workers of a killed process, which accept from the socket that is kept; return whether any are known."""
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    return bool(processes)


def _end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
