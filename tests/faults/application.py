"""The application behind the webhook of a run: its process, its link to the gateways, and what is done to both.

Owns both. What it is asked it writes down itself (`handled`).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.gateway import send, state
from tests.faults.handled import HISTORIES
from tests.faults.nemesis import Fault, hold
from tests.faults.proxy import DOWN, Faults, Proxy
from tests.faults.schedule import Planned

ROOT = Path(__file__).parents[2]
SECRET = "a-hooks-secret-of-the-campaign-0123456789"
SECRET_VARIABLE = "MESSAGEFLOW_HOOKS_SECRET"
START_SECONDS = 30.0
END_SECONDS = 10.0


class Application:
    """One application, through all its lives.

    Args:
        histories: where it writes what it is asked.
        port: where it listens, in every life.
        chance: for its link.
        away: whether a gateway is away, and asks nothing.

    Attributes:
        link: to it, for all gateways.
        faults: what can be done to it, by kind.
    """

    def __init__(self, histories: Path, port: int, chance: random.Random, away: Callable[[], bool]) -> None:
        self.link = Proxy(port, chance=chance)
        self._port = port
        self._away = away
        self._log = histories.parent / "application.log"
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")} | {
            SECRET_VARIABLE: SECRET,
            HISTORIES: str(histories),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._faults_acting = 0
        self.faults = {
            "application_kill": self._troubling(self._kill),
            "application_freeze": self._troubling(self._freeze),
            "application_answer_lost": self._troubling(self._answer_lost),
        }

    @property
    def is_troubled(self) -> bool:
        """Whether something is being done to it, so that it may let nobody in."""
        return self._faults_acting > 0

    def _troubling(self, fault: Fault) -> Fault:
        async def do(planned: Planned, chance: random.Random) -> int:
            self._faults_acting += 1
            try:
                return await fault(planned, chance)
            finally:
                self._faults_acting -= 1

        return do

    @property
    def url(self) -> str:
        """Where gateways ask it."""
        return f"http://127.0.0.1:{self.link.port}/messageflow/hooks"

    async def open(self) -> None:
        """Begin its link and its first life."""
        await self.link.start()
        await self._start()

    async def close(self) -> None:
        """End it."""
        self._end()
        await self.link.stop()

    async def _start(self) -> None:
        self._process = self._spawn()
        over = time.monotonic() + START_SECONDS
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                assert self._process.poll() is None, "the application did not start"
                assert time.monotonic() < over, "the application does not listen"
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.faults.handled", str(self._port)]
        with open(self._log, "ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self._environment, stderr=log)

    def _end(self) -> bool:
        """Kill it as the kernel does; return whether it ran."""
        process, self._process = self._process, None
        if process is None:
            return False
        killed = process.poll() is None and send(process.pid, signal.SIGKILL)
        process.wait(END_SECONDS)
        return killed

    async def _kill(self, planned: Planned, chance: random.Random) -> int:
        killed = self._end()
        await asyncio.sleep(planned.seconds)
        await self._start()
        return int(killed)

    async def _freeze(self, planned: Planned, chance: random.Random) -> int:
        assert self._process is not None
        pid = self._process.pid
        send(pid, signal.SIGSTOP)
        await asyncio.sleep(planned.seconds)
        stopped = int(state(pid) == "T")
        send(pid, signal.SIGCONT)
        return stopped

    async def _answer_lost(self, planned: Planned, chance: random.Random) -> int:
        """What gateways ask arrives, the answers do not, and the connections are reset soon after."""
        return await hold(
            [self.link], Faults(discards=frozenset({DOWN})), "half_open_down", planned.seconds, self._away
        )
