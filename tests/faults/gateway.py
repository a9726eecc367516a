"""The gateway under test: real processes that are started, killed, frozen, drained and started again.

Owns the processes, their port and their data directory. Everything it ends, it ends by its process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.request import urlopen

from messageflow import Flow
from messageflow.errors import PublishError
from tests.ports import free_port
from tests.support import API_KEY, TOKEN_SECRET, Running

PAGE = resource.getpagesize()
LONGEST_START = 60.0
"""Seconds after which a gateway that has not started never will. One with ten to do for each core takes 20."""

END_SECONDS = 30.0
"""Seconds within which a gateway that was asked to end has ended."""

ORPHAN_SECONDS = 10.0
"""Seconds within which workers that lost their parent have ended."""


class Gateway:
    """One gateway, through all its lives.

    Args:
        arguments: the flags of `messageflow serve`, without port and data directory.
        data_dir: where it keeps its files.
        environment: added to the variables of its processes.

    Attributes:
        port: where it listens, in every life.
        starts: how many lives it had.
        taken: whether it is down because somebody took it away, or about to be.
        lines: what it has logged in all of them.
    """

    def __init__(self, arguments: Sequence[str], data_dir: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.starts = 0
        self.taken = False
        self.lines: list[str] = []
        self.data_dir = data_dir
        self._arguments = list(arguments)
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")} | {
            "MESSAGEFLOW_LOG_FORMAT": "json",
            "MESSAGEFLOW_API_KEY": API_KEY,
            "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET,
            **(environment or {}),
        }
        self._running: Running | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that was started: the gateway, or the parent of its workers."""
        assert self._running is not None
        return self._running.process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._running.process.poll() if self._running is not None else None

    @property
    def up(self) -> bool:
        """Whether its first process runs."""
        return self._running is not None and self.exit_code is None

    def workers(self) -> list[int]:
        """Return the processes the first one started, that still run."""
        return [pid for pid in children(self.pid) if state(pid) not in ("Z", "")]

    def processes(self) -> list[int]:
        """Return all its processes, the first one first."""
        found = [self.pid] if self.up else []
        for pid in found:
            found += children(pid)
        return found

    async def start(self) -> None:
        """Start it and wait until it listens; in every life on the same port.

        Raises:
            AssertionError: it did not start.
        """
        running = self._running = self._spawn()
        try:
            await asyncio.to_thread(running.wait_until_started, LONGEST_START)
            assert running.process.poll() is None, "it did not start:\n" + "".join(self.lines[-20:])
        except AssertionError:
            await self.kill()
            raise
        self.port = running.port
        self.starts += 1

    def _spawn(self) -> Running:
        command = [sys.executable, "-m", "messageflow.cli", "serve", *self._arguments]
        command += ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        return Running(process, self.lines)

    async def kill(self) -> None:
        """End all its processes at once, as the kernel does when memory is short."""
        for pid in self.processes():
            send(pid, signal.SIGKILL)
        await self._ended()

    async def kill_parent(self) -> bool:
        """End the first process alone; return whether all it had started ended by themselves soon."""
        orphans = self.workers()
        send(self.pid, signal.SIGKILL)
        await self._ended()
        left = await gone(orphans, ORPHAN_SECONDS)
        for pid in left:
            send(pid, signal.SIGKILL)
        return not left

    async def drain(self, limit: float = END_SECONDS) -> bool:
        """Ask it to end; return whether it did within `limit` seconds, by itself and without an error.

        What is left then is killed.
        """
        everything = self.processes()
        send(self.pid, signal.SIGTERM)
        await asyncio.to_thread(self._wait, limit)  # a process shows as ended before its last thread is gone
        await gone(everything, limit)
        by_itself = self.exit_code == 0 and not [pid for pid in everything if state(pid) not in ("Z", "")]
        for pid in everything:
            send(pid, signal.SIGKILL)
        await self._ended()
        return by_itself

    def _wait(self, limit: float) -> None:
        assert self._running is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._running.process.wait(limit)

    async def _ended(self) -> None:
        assert self._running is not None
        await asyncio.to_thread(self._running.process.wait, END_SECONDS)
        await asyncio.to_thread(self._running.release)

    def memory(self) -> dict[int, int]:
        """Return the bytes each of its processes holds."""
        sizes = {}
        for pid in self.processes():
            with contextlib.suppress(OSError, IndexError):
                sizes[pid] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        return sizes

    def wait_until_unready(self, seconds: float) -> bool:
        """Wait for this long until it says that it is not ready, or does not answer; return whether it did."""
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            try:
                with urlopen(f"{self.url}/ready", timeout=2):
                    time.sleep(0.1)
            except OSError:
                return True
        return False

    def claims_stored(self) -> str | None:
        """Push to somebody who reads nothing; return what the receipt claims beyond memory, None if nothing."""
        with Flow(self.url, api_key=API_KEY, timeout=2) as flow:
            try:
                receipt = flow.push("nobody-reads-this", "faults/probe", {})
            except PublishError:
                return None
        return None if receipt.ack == "memory" else receipt.ack

    def complaints(self) -> Counter[str]:
        """Return the errors in its log by event, and the lines that are no log lines, with how often each was there."""
        return Counter(complaint for line in self.lines if (complaint := _complaint(line)))


def _complaint(line: str) -> str:
    try:
        record = json.loads(line)
        name = f"{record['event']}: {record.get('error', record.get('exception', ''))}"
        return name[:200] if record["level"] in ("error", "critical") else ""
    except (ValueError, LookupError, TypeError):
        return "" if line.startswith("messageflow ") else line.strip()


def children(pid: int) -> list[int]:
    """Return the processes a process has started, oldest first; none when it is gone."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
            found += [int(word) for word in (task / "children").read_text().split()]
    return sorted(found)


def state(pid: int) -> str:
    """Return a process's state as the kernel has it: R, S, T (stopped), Z, …; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; return whether the process was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def any_away(gateways: Sequence[Gateway]) -> bool:
    """Whether a gateway was taken away, or has not started again."""
    return any(gateway.taken or not gateway.up for gateway in gateways)


async def freeze(pids: Sequence[int], seconds: float) -> int:
    """Stop processes for so long; return how many were stopped at the end of it."""
    for pid in pids:
        send(pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    stopped = sum(state(pid) == "T" for pid in pids)
    for pid in pids:
        send(pid, signal.SIGCONT)
    return stopped


async def gone(pids: Sequence[int], seconds: float) -> list[int]:
    """Wait until these processes have ended; return those that have not within this time."""
    until = time.monotonic() + seconds
    while left := [pid for pid in pids if state(pid) not in ("Z", "")]:
        if time.monotonic() > until:
            break
        await asyncio.sleep(0.05)
    return left
