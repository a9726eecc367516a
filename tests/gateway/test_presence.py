"""Who is subscribed is present, and who is gone is not, over every broker and any number of workers.

Visitors behave as people do: they leave and come back in one frame, while the server decides about them too, and go
before anything was answered.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.brokers.redis.processes import Server
from tests.gateway.nodes import PING, call
from tests.support import TOKEN_SECRET, Running, running

ROOM = "room:a"
SECONDS = 30.0
CONFIG = """
[[channel.namespaces]]
name = "room"
presence = true
join_leave = true
allow_subscribe_for_client = true
"""


@pytest.fixture(params=["memory", "embedded", "two workers", "two nodes"], scope="module")
def gateways(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    directory = tmp_path_factory.mktemp("gateways")
    config = directory / "messageflow.toml"
    config.write_text(CONFIG)
    with ExitStack() as stack:

        def start(name: str, *flags: str) -> Running:
            return stack.enter_context(running(["serve", "--config", str(config), *flags], directory / name))

        if request.param == "memory":
            yield [start("one", "--broker", "memory")]
        elif request.param == "embedded":
            yield [start("one")]
        elif request.param == "two workers":
            yield [start("one", "--workers", "2")]
        else:
            (directory / "redis").mkdir()
            server = Server(directory / "redis")
            stack.callback(server.stop)
            yield [start(name, "--broker", server.url) for name in ("one", "two")]


class Visitor:
    """A client in the room.

    Attributes:
        client: its id.
        told: the kinds of push it got about others in the room, by their ids, in order.
        link: its connection.
    """

    def __init__(self, link: ClientConnection) -> None:
        self.link = link
        self.client = ""
        self.told: dict[str, list[str]] = {}
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._reading = asyncio.create_task(self._read())

    async def send(self, *commands: dict[str, Any]) -> list[asyncio.Future[dict[str, Any]]]:
        """Send commands in one frame; return where their answers will be."""
        answers, lines = [], []
        for command in commands:
            self._number += 1
            answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
            answers.append(answer)
            lines.append(json.dumps({"id": self._number, **command}))
        await self.link.send("\n".join(lines))
        return answers

    async def ask(self, *commands: dict[str, Any]) -> list[dict[str, Any]]:
        """Send commands in one frame; return their answers."""
        answers = await self.send(*commands)
        async with asyncio.timeout(SECONDS):
            return list(await asyncio.gather(*answers))

    async def _read(self) -> None:
        try:
            async for message in self.link:
                for line in str(message).split("\n"):
                    if line == PING:
                        await self.link.send(PING)
                    self._take(json.loads(line))
        except ConnectionClosed:
            pass

    def _take(self, message: dict[str, Any]) -> None:
        if (answer := self._answers.pop(message.get("id", 0), None)) is not None:
            answer.set_result(message)
        push = message.get("push", {})
        for kind in ("join", "leave"):
            if kind in push and push["channel"] == ROOM:
                self.told.setdefault(push[kind]["info"]["client"], []).append(kind)

    async def close(self) -> None:
        await self.link.close()
        await asyncio.wait([self._reading])


def subscribe(**more: Any) -> dict[str, Any]:
    return {"subscribe": {"channel": ROOM, **more}}


UNSUBSCRIBE = {"unsubscribe": {"channel": ROOM}}


def connecting(user: str) -> dict[str, Any]:
    return {"connect": {"token": jwt.encode({"sub": user, "exp": time.time() + 600}, TOKEN_SECRET, "HS256")}}


async def visit(gateway: Running, user: str, *commands: dict[str, Any]) -> Visitor:
    visitor = Visitor(await connect(gateway.websocket))
    first, *_ = await visitor.ask(connecting(user), *commands)
    visitor.client = first["connect"]["client"]
    return visitor


async def watch(gateway: Running) -> Visitor:
    return await visit(gateway, "watcher", subscribe(join_leave=True))


async def present(gateway: Running) -> set[str]:
    """Return the ids of who is in the room."""
    status, answer = await asyncio.to_thread(call, gateway, "presence", channel=ROOM)
    assert status == 200, answer
    return set(answer["result"]["presence"])


async def until_present(gateways: list[Running], *visitors: Visitor) -> None:
    """Return once these are in the room and nobody else, as every gateway sees it."""
    expected = {visitor.client for visitor in visitors}
    deadline = time.monotonic() + SECONDS
    for gateway in gateways:
        while (found := await present(gateway)) != expected:
            assert time.monotonic() < deadline, (found - expected, expected - found)
            await asyncio.sleep(0.05)


async def until_told(watcher: Visitor, *expected: tuple[Visitor, list[str]]) -> None:
    """Return once a watcher was told exactly this of these."""
    deadline = time.monotonic() + SECONDS
    for visitor, kinds in expected:
        while len(found := watcher.told.get(visitor.client, [])) < len(kinds):
            assert time.monotonic() < deadline, (found, kinds)
            await asyncio.sleep(0.02)
        assert found == kinds


async def until_left(watcher: Visitor, visitor: Visitor) -> None:
    """Return once a watcher was told that somebody has left, each join having been followed by a leave."""
    deadline = time.monotonic() + SECONDS
    while (told := watcher.told[visitor.client])[-1] != "leave":
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.02)
    assert told == ["join", "leave"] * (len(told) // 2)


async def leave(gateways: list[Running], *visitors: Visitor) -> None:
    await asyncio.gather(*(visitor.close() for visitor in visitors))
    await until_present(gateways)


async def test_who_leaves_and_comes_back_in_one_frame_is_present_once(gateways: list[Running]) -> None:
    watcher = await watch(gateways[-1])
    visitors = [await visit(gateways[0], f"u{number}", subscribe()) for number in range(10)]
    await asyncio.gather(*(visitor.ask(UNSUBSCRIBE, subscribe()) for visitor in visitors))
    await until_present(gateways, watcher, *visitors)
    await until_told(watcher, *((visitor, ["join", "leave", "join"]) for visitor in visitors))
    await asyncio.gather(*(visitor.ask(*[UNSUBSCRIBE, subscribe()] * 20, UNSUBSCRIBE) for visitor in visitors))
    await until_present(gateways, watcher)
    expected = ["join", *["leave", "join"] * 21, "leave"]
    await until_told(watcher, *((visitor, expected) for visitor in visitors))
    await leave(gateways, watcher, *visitors)


async def test_a_batch_of_the_api_ends_as_its_last_call_says(gateways: list[Running]) -> None:
    watcher = await watch(gateways[-1])
    tabs = [await visit(gateway, "alice") for gateway in gateways * 2]
    calls = {"subscribe": {"user": "alice", "channel": ROOM}, "unsubscribe": {"user": "alice", "channel": ROOM}}

    async def batch(*names: str) -> None:
        commands = [{name: calls[name]} for name in names]
        status, answer = await asyncio.to_thread(call, gateways[0], "batch", commands=commands)
        assert (status, answer) == (200, {"replies": [{name: {}} for name in names]})

    await batch("subscribe")
    await until_present(gateways, watcher, *tabs)
    await batch("unsubscribe", "subscribe")
    await until_told(watcher, *((tab, ["join", "leave", "join"]) for tab in tabs))
    await until_present(gateways, watcher, *tabs)
    await batch(*["unsubscribe", "subscribe"] * 5, "unsubscribe")
    await until_present(gateways, watcher)
    for tab in tabs:
        await until_left(watcher, tab)
    await leave(gateways, watcher, *tabs)


async def test_who_goes_before_anything_was_answered_is_gone(gateways: list[Running]) -> None:
    watcher = await watch(gateways[-1])

    async def hasty(number: int) -> None:
        link = await connect(gateways[number % len(gateways)].websocket)
        visitor = Visitor(link)
        asked = subscribe(), *[UNSUBSCRIBE, subscribe()] * (number % 3)
        answers = await visitor.send(connecting(f"u{number}"), *asked)
        if number % 2:
            await answers[0]
        link.transport.abort()
        await asyncio.wait([visitor._reading])

    for start in range(0, 60, 15):
        await asyncio.gather(*(hasty(number) for number in range(start, start + 15)))
    await until_present(gateways, watcher)
    for kinds in watcher.told.values():
        assert kinds == (["join", "leave"] * len(kinds))[: len(kinds)]
    await leave(gateways, watcher)


async def lagging(gateway: Running, user: str) -> Visitor:
    """Return a visitor who is in the room, takes nothing, and whose buffers are full."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", gateway.port))
    visitor = Visitor(await connect(gateway.websocket, sock=narrow, close_timeout=None))
    first, *_ = await visitor.ask(connecting(user), subscribe(), {"subscribe": {"channel": "room:loud"}})
    visitor.client = first["connect"]["client"]
    visitor.link.transport.pause_reading()
    deadline = time.monotonic() + SECONDS
    while not any(event["client"] == visitor.client for event in gateway.events("lagging")):
        assert time.monotonic() < deadline
        await asyncio.to_thread(call, gateway, "publish", channel="room:loud", data="x" * 60_000)
    return visitor


@pytest.mark.parametrize("goodbye", ["close frame", "end of the stream"])
async def test_who_lags_is_gone_once_they_say_goodbye(gateways: list[Running], goodbye: str) -> None:
    """Their sockets stay open, and full: only what they say tells that they leave."""
    watcher = await watch(gateways[-1])
    slow = await lagging(gateways[0], "slow")
    await slow.send(UNSUBSCRIBE, subscribe(), {"presence": {"channel": ROOM}})  # which waits
    await until_present(gateways, watcher, slow)
    if goodbye == "close frame":
        leaving = asyncio.create_task(slow.link.close())
    else:
        slow.link.transport.write_eof()
        leaving = asyncio.create_task(asyncio.sleep(0))
    await until_told(watcher, (slow, ["join", "leave"]))
    await until_present(gateways, watcher)
    slow.link.transport.abort()
    await asyncio.wait([leaving, slow._reading])
    await leave(gateways, watcher)
