"""One `redis-server` of a run's own: started, killed, frozen and asked, through all its lives on one port.

Owns the process, its port and the directory with its append-only file. Everything it ends, it ends by its process id.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.faults.gateway import send, state
from tests.ports import free_port

START_SECONDS = 20.0
ANSWER_SECONDS = 10.0
AOF = "appendonlydir"


class RedisServer:
    """A server that keeps what it is given in an append-only file.

    Args:
        directory: for that file; must be there and empty.
        fsync: `always`, so that what it acknowledged is on the disk, or `everysec`.

    Attributes:
        port: where it listens, in every life.
    """

    def __init__(self, directory: Path, fsync: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._fsync = fsync
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def possible() -> bool:
        """Whether there is such a server here."""
        return shutil.which("redis-server") is not None

    async def start(self) -> None:
        """Start it and wait until it answers, with everything its file holds.

        Raises:
            AssertionError: it does not.
        """
        process = self._process = self._spawn()
        over = time.monotonic() + START_SECONDS
        while not await self._answers():
            assert process.poll() is None, f"redis-server ended with {process.returncode}"
            assert time.monotonic() < over, "redis-server does not answer"
            await asyncio.sleep(0.02)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        command += ["--save", "", "--appendonly", "yes", "--appendfsync", self._fsync, "--maxmemory-policy"]
        command += ["noeviction", "--repl-diskless-sync-delay", "0", "--logfile", str(self._directory / "redis.log")]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def _answers(self) -> bool:
        try:
            return bool(await self.ask("PING"))
        except (RedisError, OSError):  # it does not listen yet, or reads its file
            return False

    async def kill(self) -> bool:
        """End it as the kernel does when memory is short; return whether it ran."""
        if self._process is None:
            return False
        killed = self._process.poll() is None and send(self._process.pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait, ANSWER_SECONDS)
        return killed

    async def freeze(self, seconds: float) -> bool:
        """Stop it for a while; return whether it really stood still."""
        assert self._process is not None
        pid = self._process.pid
        send(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
            return state(pid) == "T"
        finally:
            send(pid, signal.SIGCONT)

    async def empty(self) -> None:
        """Kill it and throw away what it kept."""
        await self.kill()
        shutil.rmtree(self._directory / AOF, ignore_errors=True)

    def copy_to(self, place: Path) -> None:
        """Copy what it has written so far, as a backup of its disk would."""
        shutil.copytree(self._directory / AOF, place)

    def put_back(self, place: Path) -> None:
        """Give it, while it does not run, what was copied before."""
        shutil.rmtree(self._directory / AOF, ignore_errors=True)
        shutil.copytree(place, self._directory / AOF)

    async def ask(self, *command: str | bytes | int) -> Any:
        """Send a command on a connection of its own, past every link, and return the reply.

        Raises:
            RedisError: it refuses, or cannot be reached.
        """
        async with Redis(port=self.port, socket_timeout=ANSWER_SECONDS, single_connection_client=True) as client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def info(self, section: str) -> dict[str, Any]:
        """Return a section of what it says of itself, as the library reads it."""
        found: dict[str, Any] = await self.ask("INFO", section)
        return found

    async def refused(self, code: str) -> int:
        """Return how often it has answered with an error of this code."""
        found = (await self.info("errorstats")).get(f"errorstat_{code}", {})
        return int(found["count"]) if found else 0
