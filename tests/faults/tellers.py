"""Those who tell the application something: pages that emit, with a receipt, over connections that break.

As a page does, a teller gives each emit a key, keeps what has no answer, and sends it again over the next connection,
in order, with its age. It never gives up, so that the checker knows what became of each.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.faults.clients import FAILURES, FIRST_DELAY, LONGEST_DELAY, until
from tests.faults.history import Admitted, Close, End, Recorder, Told, ToldFail, ToldOk, now
from tests.faults.pages import page
from tests.faults.proxy import Proxy
from tests.faults.session import PONG

TELLERS = 4
PAUSE = 0.1
"""Seconds between two emits of a teller, on average."""

QUEUE = 30
"""Emits that wait for an answer at most; with more of them nothing more is told."""

SILENCE = 8.0
"""Seconds without a word, pings among them, after which a link counts as dead."""

HANDLING_SECONDS = (0.0, 0.0, 0.0, 0.01, 0.05)
WISHES = ("do",) * 270 + ("refuse",) * 17 + ("fail",) * 12 + ("hang",)
"""One that hangs holds up its teller for as long as a hook may take."""
TEMPORARY_TRIES = 3
"""How often an emit that was answered with a temporary error is sent again, with its key."""


@dataclass(slots=True)
class Emit:
    """What was told and has no answer: as it is sent, since when, and how often it was turned away for a while."""

    message: dict[str, Any]
    since: float = 0.0
    turned_away: int = 0


class Teller:
    """One of them.

    Args:
        name: in the history; its user is called so, too.
        proxy: its link.
        recorder: takes what it tells, and what it is told.
        chance: what it chooses from.

    Attributes:
        telling: cleared, it tells nothing new.
        waiting: what has no answer, by number.
    """

    def __init__(self, name: str, proxy: Proxy, recorder: Recorder, chance: random.Random) -> None:
        self.name = name
        self.proxy = proxy
        self.telling = asyncio.Event()
        self.telling.set()
        self.waiting: dict[int, Emit] = {}
        self._recorder = recorder
        self._chance = chance
        self._number = 0
        self._client = ""

    async def run(self) -> None:
        """Come, tell, and come back, until cancelled."""
        delay = FIRST_DELAY
        try:
            while True:
                code, reason = await self._connection()
                if self._client:
                    self._recorder.write(Close(at=now(), process=self.name, code=code, reason=reason))
                delay = FIRST_DELAY if self._client else min(LONGEST_DELAY, 2 * delay)
                self._client = ""
                await asyncio.sleep(self._chance.uniform(0, delay))
        finally:
            self._recorder.write(End(at=now(), process=self.name))

    async def _connection(self) -> tuple[int, str]:
        """Hold one connection to its end; return the code and reason it ended with."""
        asked: dict[int, int] = {}
        sending: asyncio.Task[None] | None = None
        try:
            async with page(self.proxy.port, self.name, []) as connection:
                while True:
                    async with asyncio.timeout(SILENCE):
                        message = await connection.recv(decode=True)
                    for text in message.split("\n"):
                        if text == PONG:
                            await connection.send(PONG)
                        elif text and self._take(json.loads(text), asked):
                            sending = asyncio.create_task(self._send(connection, asked))
        except ConnectionClosed as error:
            return (error.rcvd.code, error.rcvd.reason) if error.rcvd is not None else (0, "connection lost")
        except FAILURES as error:
            return 0, str(error) or type(error).__name__
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    def _take(self, line: dict[str, Any], asked: dict[int, int]) -> bool:
        """Take what the gateway says; return whether it lets the teller in."""
        if "connect" in line:
            self._client = line["connect"]["client"]
            self._recorder.write(Admitted(at=now(), process=self.name, client=self._client))
            return True
        if line.get("id") in asked:
            self._settle(asked.pop(line["id"]), line.get("error"))
        return False

    def _settle(self, number: int, error: dict[str, Any] | None) -> None:
        emit = self.waiting[number]
        if error is None:
            self._recorder.write(ToldOk(at=now(), process=self.name, number=number))
            del self.waiting[number]
            return
        again = bool(error.get("temporary")) and emit.turned_away < TEMPORARY_TRIES and self._chance.random() < 0.5
        code, reason = error["code"], error["message"]
        self._recorder.write(
            ToldFail(at=now(), process=self.name, number=number, code=code, reason=reason, last=not again)
        )
        if again:
            emit.turned_away += 1  # it stays, and is sent again over the next connection
        else:
            del self.waiting[number]

    async def _send(self, connection: ClientConnection, asked: dict[int, int]) -> None:
        """Send what has no answer, in order, and then what is new."""
        number = 1
        with suppress(ConnectionClosed):
            for told in list(self.waiting):
                number += 1
                asked[number] = told
                await self._tell(connection, number, told)
            while True:
                await asyncio.sleep(self._chance.expovariate(1 / PAUSE))
                if not self.telling.is_set():
                    if self.waiting and not asked:  # those that were turned away
                        await connection.close()
                    continue
                if len(self.waiting) < QUEUE:
                    number += 1
                    asked[number] = told = self._make()
                    await self._tell(connection, number, told)

    def _make(self) -> int:
        self._number += 1
        wish = self._chance.choice(WISHES)
        kind = "order_async" if wish == "hang" or self._chance.random() < 0.5 else "order"
        seconds = self._chance.choice(HANDLING_SECONDS)
        order = {"teller": self.name, "number": self._number, "wish": wish, "seconds": seconds}
        message = {"data": {"type": kind, "payload": order}, "key": f"{self.name}-{self._number}"}
        self.waiting[self._number] = Emit(message)
        self._recorder.write(Told(at=now(), process=self.name, number=self._number, wish=wish))
        return self._number

    async def _tell(self, connection: ClientConnection, number: int, told: int) -> None:
        emit = self.waiting[told]
        age = {"age": int((time.monotonic() - emit.since) * 1000)} if emit.since else {}
        emit.since = emit.since or time.monotonic()
        await connection.send(json.dumps({"id": number, "send": {**emit.message, **age}}))


class Tellers:
    """All of them, and their tasks."""

    def __init__(self, links: Sequence[Proxy], recorder: Recorder, chance: random.Random) -> None:
        self._tellers = [
            Teller(f"teller-{number}", link, recorder, random.Random(chance.getrandbits(32)))
            for number, link in enumerate(links, 1)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let them come."""
        self._tasks = [asyncio.create_task(teller.run()) for teller in self._tellers]

    async def finish(self, seconds: float) -> None:
        """Let them tell nothing new, wait for the answers that are due, and let them go."""
        for teller in self._tellers:
            teller.telling.clear()
        await until(lambda: not any(teller.waiting for teller in self._tellers), seconds)
        await self.stop()

    async def stop(self) -> None:
        """Let them go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
