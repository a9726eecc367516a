"""Visitors who behave as people do: they leave between question and answer, reload, ask and do not read, change
their minds within one frame. What is asked of the gateway afterwards is that nobody else noticed.

They go straight to the gateways, past every link, and are no readers of the run: what they did shows in whether others
are still let in, in who is present, and in memory.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from messageflow import Flow
from messageflow.errors import PublishError
from tests.faults.clients import FAILURES, Client
from tests.faults.gateway import Gateway, any_away
from tests.faults.history import Misbehaved, Recorder, now
from tests.faults.pages import Command, answers, glance, knock, lines, opening, page, vanish
from tests.faults.proxy import Proxy
from tests.faults.schedule import Planned
from tests.support import API_KEY

LOBBY = "lobby:all"
"""Where visitors come and go: presence is kept, joins and leaves are told. No reader of the run is there."""

KEPT = "kept:long"
"""A channel whose history any client may read."""

NAMESPACES = """
[[channel.namespaces]]
name = "lobby"
allow_subscribe_for_client = true
presence = true
join_leave = true
force_push_join_leave = true

[[channel.namespaces]]
name = "kept"
allow_subscribe_for_client = true
allow_history_for_client = true
"""

WAVE = 25
"""Visitors that come at once and leave at once."""

TABS = 16
ASKERS = 3
QUESTIONS = 99
LONG = 40
PIECE = 25_000
"""QUESTIONS answers of LONG publications of PIECE bytes are about 100 MB for each of the ASKERS."""

LET_IN_SECONDS = 15.0
"""Seconds within which whoever stays is let in, whatever visitors did and whatever else is done to the gateway."""

PRESENT_SECONDS = 40.0
"""Seconds within which presence shows who is there: longer than a gateway that died is believed."""

HELD_SECONDS = 3.0
"""Seconds within which `/health` is answered where nothing but visitors trouble the gateways."""

CHANGE_OF_MIND: list[Command] = [{"unsubscribe": {"channel": LOBBY}}, {"subscribe": {"channel": LOBBY}}]

PAUSE = 0.1
"""Seconds between two changes of mind, on average: within what a client may ask in a second."""

FAULTS = (*FAILURES, ConnectionClosed)


async def come_together(count: int, visit: Callable[[random.Random], Awaitable[int]], chance: random.Random) -> int:
    """Let so many visit at once, each with chances of its own; the sum of what they have done."""
    seeds = [random.Random(chance.getrandbits(32)) for _ in range(count)]
    return sum(await asyncio.gather(*map(visit, seeds)))


class Visitors:
    """The faults that visitors are.

    Args:
        gateways: where they come, each time to one by chance.
        users: the readers' users: some visitors are further tabs of theirs.
        link: a link that nothing is done to, for who comes afterwards to see whether they are let in.
        recorder: takes what gateways must not do.
        alone: whether nothing but visitors trouble the gateways, so that nothing excuses a delay or a wrong order.

    Attributes:
        faults: by kind.
    """

    def __init__(
        self, gateways: Sequence[Gateway], users: Sequence[str], link: Proxy, recorder: Recorder, *, alone: bool
    ) -> None:
        self._gateways = gateways
        self._users = users
        self._link = link
        self._recorder = recorder
        self._alone = alone
        self._guests = 0
        self.faults: dict[str, Callable[[Planned, random.Random], Awaitable[int]]] = {
            "visitors_leave": self._leave,
            "visitors_reload": self._reload,
            "visitors_ask": self._ask,
            "visitors_waver": self._waver,
        }

    def _misbehaved(self, what: str) -> None:
        self._recorder.write(Misbehaved(at=now(), process="visitors", target="gateway", what=what))

    def _port(self, chance: random.Random) -> int:
        return chance.choice(self._gateways).port

    def _guest(self) -> str:
        self._guests += 1
        return f"guest-{self._guests}"

    def _away(self) -> bool:
        return any_away(self._gateways)

    async def _until_any_came(self, come: Callable[[], Awaitable[int]]) -> int:
        """Let visitors come, again and again until any came: for all of a time the gateway may be away."""
        left = LET_IN_SECONDS
        while True:
            began = time.monotonic()
            if (came := await come()) or left < 0:
                return came
            left -= 0 if self._away() else time.monotonic() - began

    async def _leave(self, planned: Planned, chance: random.Random) -> int:
        """Waves of them connect and are gone before they are answered; then somebody comes to stay."""
        regular = chance.choice(self._users)
        came = await self._until_any_came(lambda: self._waves(regular, planned.seconds, chance))
        for user in (regular, self._guest()):
            await self._expect_let_in(user, chance)
        return came

    async def _waves(self, regular: str, seconds: float, chance: random.Random) -> int:
        came = 0
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            users = [regular if chance.random() < 0.2 else self._guest() for _ in range(WAVE)]
            wave = [glance(self._port(chance), user, [LOBBY], chance) for user in users]
            came += sum(await asyncio.gather(*wave))
            await asyncio.sleep(chance.uniform(0, 0.3))
        return came

    async def _expect_let_in(self, user: str, chance: random.Random) -> None:
        name = f"stayer-{self._guest()}"
        stayer = Client(name, user, [LOBBY], self._link, self._recorder, random.Random(chance.getrandbits(32)))
        if not await stayer.visit(0, LET_IN_SECONDS, self._away):
            self._misbehaved(f"did not let {user} in within {LET_IN_SECONDS:.0f} s after others had left at once")

    async def _reload(self, planned: Planned, chance: random.Random) -> int:
        """Tabs come, leave and enter a channel, and are gone again, with or without a goodbye; in the end all are."""
        user = self._guest()
        tab = partial(self._tab, user, planned.seconds)
        return await self._until_any_came(lambda: come_together(TABS, tab, chance))

    async def _tab(self, user: str, seconds: float, chance: random.Random) -> int:
        loads = 0
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            with suppress(*FAULTS):
                async with page(self._port(chance), user, [LOBBY]) as connection:
                    if chance.random() < 0.5:
                        await answers(connection, 2, [])
                    for number in range(3, 3 + chance.randint(0, 4)):
                        verb = "unsubscribe" if number % 2 else "subscribe"
                        await connection.send(lines([{verb: {"channel": LOBBY}}], first=number))
                        await asyncio.sleep(chance.choice((0, 0, chance.uniform(0, 0.02))))
                    loads += 1
                    if chance.random() < 0.5:
                        vanish(connection)
            await asyncio.sleep(chance.uniform(0, 0.05))
        return loads

    async def _ask(self, planned: Planned, chance: random.Random) -> int:
        """Some ask for a long history a hundred times in one frame and read nothing; the run watches the memory."""
        await asyncio.to_thread(self._fill)
        port = self._port(chance)
        watch = asyncio.create_task(self._watch_health(port))
        questions = lines([{"history": {"channel": KEPT, "limit": 1000}}] * QUESTIONS, first=2)
        writers: list[asyncio.StreamWriter] = []
        try:

            async def ask() -> int:
                for _ in range(ASKERS):
                    with suppress(OSError):
                        writers.append(await knock(port, [opening(self._guest(), []), questions]))
                await asyncio.sleep(planned.seconds)
                return len(writers)

            return await self._until_any_came(ask)
        finally:
            for writer in writers:
                writer.transport.abort()
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    def _fill(self) -> None:
        with Flow(self._gateways[0].url, api_key=API_KEY) as flow:
            for number in range(LONG):
                with suppress(PublishError):
                    flow.publish(KEPT, {"number": number, "filler": "x" * PIECE})

    async def _watch_health(self, port: int) -> None:
        while True:
            began = time.monotonic()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(5 * HELD_SECONDS):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    await reader.read()
                    writer.close()
            if self._alone and (passed := time.monotonic() - began) > HELD_SECONDS:
                self._misbehaved(f"answered nobody for {passed:.1f} s while some asked and did not read")
            await asyncio.sleep(0.2)

    async def _waver(self, planned: Planned, chance: random.Random) -> int:
        """Some leave and enter a channel within one frame, again and again, and stay: then presence knows them."""
        waverer = partial(self._wavers, planned.seconds)
        return await self._until_any_came(lambda: come_together(4, waverer, chance))

    async def _wavers(self, seconds: float, chance: random.Random) -> int:
        """One who wavers, and comes again where the connection ends before the time is over."""
        turns = 0
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            told: list[Command] = []
            with suppress(*FAULTS):
                async with page(self._port(chance), self._guest(), [LOBBY]) as connection:
                    client = (await answers(connection, 2, told))[1]["connect"]["client"]
                    number = 2
                    while time.monotonic() < over:
                        await connection.send(lines(CHANGE_OF_MIND, first=number + 1))
                        turns += 1
                        number += len(CHANGE_OF_MIND)
                        await answers(connection, number, told)
                        await asyncio.sleep(chance.uniform(0, 2 * PAUSE))
                    await self._expect_present(connection, client, number + 1, told)
            await asyncio.sleep(chance.uniform(0, PAUSE))
        return turns

    async def _expect_present(
        self, connection: ClientConnection, client: str, number: int, told: list[Command]
    ) -> None:
        """Whoever is subscribed is present, unless the connection ends before that can be said."""
        with Flow(self._gateways[0].url, api_key=API_KEY) as flow:
            over = time.monotonic() + PRESENT_SECONDS
            known = False
            while not known and time.monotonic() < over:
                with suppress(PublishError):
                    known = client in await asyncio.to_thread(flow.presence, LOBBY)
                await connection.send(lines([{"ping": {}}], first=number))
                await answers(connection, number, told)  # it still has its connection, and so its subscription
                number += 1
                await asyncio.sleep(PAUSE)
        if not known:
            self._misbehaved(f"does not say that {client} is present, {PRESENT_SECONDS:.0f} s after it subscribed")
        words = [
            word
            for push in told
            for word in ("join", "leave")
            if push.get(word, {}).get("info", {}).get("client") == client
        ]
        if self._alone and words[-1:] == ["leave"]:
            self._misbehaved(f"told last that {client} had left, who had come back")
