"""What the machine can be made to do to a gateway: a disk that is full, syncs that fail, a death in the middle of a
system call, a wall clock that jumps.

Each has a way to find out whether it is possible here, and says itself how often it really happened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

SHIM = Path(__file__).with_name("clock.c")
STRACE_SECONDS = 3.0
DISK_SIZE = "256m"  # a run does not fill it by itself


class SmallDisk:
    """A file system in memory for the data directory, which can be filled.

    Args:
        path: an empty directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ballast = path / "ballast"

    @staticmethod
    def possible() -> bool:
        """Whether this process may mount one."""
        if os.geteuid() != 0 or shutil.which("mount") is None:
            return False
        with tempfile.TemporaryDirectory() as place:
            disk = SmallDisk(Path(place))
            mounted = disk.mount()
            disk.unmount()
        return mounted

    def mount(self) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(self._path)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self._path)], capture_output=True, check=False)

    def fill(self) -> int:
        """Leave no room; return the bytes that were still free."""
        before = self._free()
        file = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in (1 << 20, 1 << 16, 1 << 12):
                _write_until_full(file, bytes(size))
        finally:
            os.close(file)
        return before if self._free() == 0 else 0

    def empty(self) -> None:
        """Give the room back."""
        with contextlib.suppress(FileNotFoundError):
            self._ballast.unlink()

    def _free(self) -> int:
        return os.statvfs(self._path).f_bavail * os.statvfs(self._path).f_frsize


def _write_until_full(file: int, data: bytes) -> None:
    try:
        while True:
            os.write(file, data)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


class Strace:
    """Meddles with the system calls of running processes.

    Args:
        log: a file that does not exist yet.
        calls: the names of system calls, by commas.
        action: what happens at them, as `strace -e inject` has it.
        mark: what stands in the log where it happened.
    """

    def __init__(self, log: Path, calls: str, action: str, mark: str) -> None:
        self._log = log
        self._calls = calls
        self._action = action
        self._mark = mark
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def possible() -> bool:
        """Whether strace is there and may be used on other processes."""
        return shutil.which("strace") is not None and os.geteuid() == 0

    @classmethod
    def failing_syncs(cls, log: Path) -> Self:
        """Every fsync and fdatasync fails with EIO."""
        return cls(log, "fsync,fdatasync", "error=EIO", "(INJECTED)")

    @classmethod
    def killing(cls, log: Path, calls: str, when: int) -> Self:
        """The process is killed when one of its threads is about to do one of these calls for the so-many-th time."""
        return cls(log, calls, f"signal=SIGKILL:when={when}", "killed by SIGKILL")

    def begin(self, pids: Sequence[int]) -> None:
        command = ["strace", "-f", "-qq", "-o", str(self._log), "-e", f"trace={self._calls}"]
        command += ["-e", f"inject={self._calls}:{self._action}"]
        for pid in pids:
            command += ["-p", str(pid)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def fired(self) -> int:
        """Return how often it happened."""
        with contextlib.suppress(FileNotFoundError):
            return self._log.read_text(errors="replace").count(self._mark)
        return 0

    def end(self) -> None:
        """Let the processes go.

        One that dies while strace looks at it can keep strace waiting for ever; killing strace lets it go then.
        """
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STRACE_SECONDS)


class Clock:
    """A wall clock that can be moved, for processes that are started with `environment`.

    Args:
        directory: for the library and for the file it shares with us.
    """

    _FORM = "qq"

    def __init__(self, directory: Path) -> None:
        self._library = directory / "clock.so"
        self._file = directory / "clock"

    @staticmethod
    def possible() -> bool:
        """Whether there is a compiler."""
        return shutil.which("gcc") is not None

    def build(self) -> None:
        self._file.write_bytes(struct.pack(self._FORM, 0, 0))
        command = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(self._library), str(SHIM), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "FAULTS_CLOCK": str(self._file)}

    def step(self, seconds: int) -> None:
        """Let the clock be wrong by so many seconds; 0 makes it right."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", seconds))

    def fired(self) -> int:
        """Return how many readings were wrong so far."""
        readings: int = struct.unpack(self._FORM, self._file.read_bytes())[1]
        return readings
