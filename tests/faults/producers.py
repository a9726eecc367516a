"""The producers of a run: starts their processes, each on a way of its own, kills them and lets them end."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.faults.gateway import send
from tests.faults.proxy import Proxy
from tests.faults.publishers import Job

ROOT = Path(__file__).parents[2]
END_SECONDS = 20.0


class Way(NamedTuple):
    """How a producer reaches what it pushes to.

    Args:
        url: of a gateway or a Redis, as the producer sees it.
        link: what lies between, and can be broken; nothing does before a Cluster, whose nodes say where they are.
    """

    url: str
    link: Proxy | None = None


class Producer:
    """One process."""

    def __init__(self, job: Job) -> None:
        self.name = job.name
        command = [sys.executable, "-m", "tests.faults.publishers", msgspec.json.encode(job).decode()]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)

    def kill(self) -> bool:
        """End it as a crash would; return whether it still ran."""
        killed = self._process.poll() is None and send(self._process.pid, signal.SIGKILL)
        self._process.wait(END_SECONDS)
        self._close()
        return killed

    def end(self) -> int:
        """Let it finish what it does and end; return its exit code."""
        self._close()
        return self._process.wait(END_SECONDS)

    def _close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()


class Producers:
    """All of them.

    Args:
        ways: theirs, one each.
        directory: where they write their histories.
        users: to whom they push.
        channels: into which they publish.
        rate: publications a second of each.
        timeout: seconds one call may take.
        chance: where their seeds come from.

    Attributes:
        links: theirs, of those that have one.
    """

    def __init__(
        self,
        ways: Sequence[Way],
        directory: Path,
        users: list[str],
        channels: list[str],
        rate: float,
        timeout: float,
        chance: random.Random,
    ) -> None:
        self.links = [way.link for way in ways if way.link is not None]
        self._ways = ways
        self._directory = directory
        self._users = users
        self._channels = channels
        self._rate = rate
        self._timeout = timeout
        self._chance = chance
        self._running: list[Producer] = []
        self._started = 0

    def start(self) -> None:
        """Start one on each way."""
        self._running = [self._new(way) for way in self._ways]

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self._ways)

    def name(self, which: int) -> str:
        """Return the name of the process that is on a way now."""
        return self._running[which].name

    async def replace(self, which: int) -> bool:
        """Kill the one on a way and start another; return whether it ran."""
        killed = await asyncio.to_thread(self._running[which].kill)
        self._running[which] = self._new(self._ways[which])
        return killed

    async def end(self) -> None:
        """Let all of them finish.

        Raises:
            AssertionError: one did not end well.
        """
        codes = [await asyncio.to_thread(producer.end) for producer in self._running]
        self._running = []
        assert codes == [0] * len(codes), f"producers ended with {codes}"

    def kill(self) -> None:
        """End what still runs."""
        for producer in self._running:
            producer.kill()

    def _new(self, way: Way) -> Producer:
        self._started += 1
        name = f"producer-{self._started}"
        job = Job(
            name=name,
            url=way.url,
            history=str(self._directory / f"{name}.jsonl"),
            seed=self._chance.getrandbits(32),
            rate=self._rate,
            users=self._users,
            channels=self._channels,
            timeout=self._timeout,
            awaiting=self._chance.random() < 0.5,
        )
        return Producer(job)
