"""Classic browsers at a gateway: who gets in, what they hear, and what ends them."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from messageflow import AsyncFlow
from tests.gateway.test_bad_input import Client
from tests.support import API_KEY, TOKEN_SECRET, Running, running

SECONDS = 20.0
QUICK = ("--broker", "memory", "--ping-interval", "2", "--pong-timeout", "1.5", "--connect-timeout", "3")
TEXT, CLOSE, PING = 1, 8, 9
REQUEST, FAILED, OK = ({"actionType": f"AUTH {word}"} for word in ("REQUEST", "FAILED", "OK"))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(["serve", "--classic", "baselayer", *QUICK], tmp_path_factory.mktemp("classic")) as started:
        yield started


@pytest.fixture
async def flow(gateway: Running) -> AsyncIterator[AsyncFlow]:
    async with AsyncFlow(gateway.url, api_key=API_KEY) as flow:
        yield flow


def make_token(user: str | int = "7", lives: float = 600.0) -> str:
    return jwt.encode({"user_id": user, "exp": time.time() + lives}, TOKEN_SECRET, "HS256")


async def hear(socket: ClientConnection) -> object:
    """Return the next message that is no heartbeat."""
    async with asyncio.timeout(SECONDS):
        while (message := await socket.recv()) == "<3":
            pass
    return json.loads(message)


async def end(socket: ClientConnection) -> int:
    """Read to the end, and return its code."""
    with suppress(ConnectionClosed):
        while True:
            await hear(socket)
    return socket.close_code or 0


def open_socket(gateway: Running, **how: object) -> connect:
    return connect(f"ws://127.0.0.1:{gateway.port}/websocket", **how)  # type: ignore[arg-type]


@asynccontextmanager
async def entered(gateway: Running, token: str) -> AsyncIterator[ClientConnection]:
    async with open_socket(gateway) as socket:
        assert await hear(socket) == REQUEST
        await socket.send(token)
        assert await hear(socket) == OK
        yield socket


async def test_pushes_and_broadcasts_come_to_whom_they_are_for(gateway: Running, flow: AsyncFlow) -> None:
    async with entered(gateway, make_token(7)) as seven, entered(gateway, make_token("8")) as eight:
        await flow.push(7, "REFRESH", {"id": 1})
        await flow.broadcast("ALL", None)
        assert await hear(seven) == {"user_id": "7", "actionType": "REFRESH", "payload": {"id": 1}}
        assert await hear(seven) == {"user_id": "*", "actionType": "ALL", "payload": None}
        assert await hear(eight) == {"user_id": "*", "actionType": "ALL", "payload": None}


async def test_a_token_that_is_not_believed_may_be_followed_by_another(gateway: Running) -> None:
    async with open_socket(gateway, subprotocols=[Subprotocol("any")]) as socket:
        for bad in ("no_auth_token_user bad_token", make_token(lives=-1)):
            assert await hear(socket) == REQUEST
            await socket.send(bad)
            assert await hear(socket) == FAILED
        assert await hear(socket) == REQUEST
        await socket.send(make_token())
        assert await hear(socket) == OK


async def use_up(socket: ClientConnection) -> None:
    for bad in ("bad", "", "<3"):
        assert await hear(socket) == REQUEST
        await socket.send(bad)
        assert await hear(socket) == FAILED


async def test_no_token_is_believed_after_the_last_attempt(gateway: Running) -> None:
    async with open_socket(gateway) as socket:
        await use_up(socket)
        await socket.send(make_token())
        assert await end(socket) == 3500


async def end_of_silence(gateway: Running) -> int:
    async with open_socket(gateway) as socket:
        return await end(socket)


async def end_of_attempts(gateway: Running) -> int:
    async with open_socket(gateway) as socket:
        await use_up(socket)
        return await end(socket)


async def end_of_a_token(gateway: Running) -> int:
    async with entered(gateway, make_token(lives=3)) as socket:
        return await end(socket)


def end_of_a_link(gateway: Running) -> int:
    """A browser that has gone to sleep answers no ping."""
    with Client(gateway, path="/websocket") as raw:
        raw.receive()
        raw.frame(make_token().encode())
        frames = [raw.receive()]
        while frames[-1][0] != CLOSE:
            frames.append(raw.receive())
    assert frames[1:3] == [(TEXT, b"<3"), (PING, b"")]
    return int(struct.unpack("!H", frames[-1][1][:2])[0])


async def test_time_ends_who_is_not_in_and_who_may_no_longer_be(gateway: Running) -> None:
    """All at once, since each is a wait."""
    ends = [end_of_silence(gateway), end_of_attempts(gateway), end_of_a_token(gateway)]
    assert await asyncio.gather(*ends, asyncio.to_thread(end_of_a_link, gateway)) == [3502, 3502, 3005, 3012]


async def test_one_socket_is_one_user(gateway: Running) -> None:
    async with entered(gateway, make_token("7")) as socket:
        for said in ("<3", make_token("7")):
            await socket.send(said)
        assert await hear(socket) == OK
        await socket.send(make_token("8"))
        assert await end(socket) == 3500


async def test_a_revocation_cuts(gateway: Running, flow: AsyncFlow) -> None:
    async with entered(gateway, make_token("9")) as socket:
        await flow.revoke("9")
        await end(socket)
    async with open_socket(gateway) as socket:
        assert await hear(socket) == REQUEST
        await socket.send(make_token("9"))
        assert await hear(socket) == FAILED


async def test_another_token_is_asked_for_before_one_expires_and_keeps_the_connection(gateway: Running) -> None:
    async with entered(gateway, make_token(lives=4)) as socket:
        assert [await hear(socket), await hear(socket)] == [FAILED, REQUEST]
        await socket.send(make_token(lives=600))
        assert await hear(socket) == OK


async def test_pages_of_other_origins_are_refused(gateway: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(gateway, origin="https://elsewhere.example")
    assert refused.value.response.status_code == 403
    async with open_socket(gateway, origin=f"http://127.0.0.1:{gateway.port}") as socket:
        assert await hear(socket) == REQUEST
