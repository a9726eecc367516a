"""What a payload may be is the same over the HTTP API and over a WebSocket: stored as it is, or refused alone."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect

from messageflow import Flow
from tests.support import API_KEY, TOKEN_SECRET, Running, running

CONFIG = """
payload_size_limit = 2000
[[channel.namespaces]]
name = "room"
allow_subscribe_for_client = true
allow_publish_for_client = true
"""
ROOM = "room:a"
SECONDS = 15.0

TAKEN = {
    "a character beyond the first plane": rb'"\ud83d\ude00"',
    "a null character": rb'"a\u0000b"',
    "a backslash before what looks like an escape": rb'"\\ud83d"',
    "a large whole number": b"9" * 300,
    "a small fraction": b"1e-999",
    "minus zero": b"-0",
    "a key twice": b'{"a":1,"a":2}',
    "nested as deep as may be": b"[" * 32 + b"]" * 32,
    "large": b'"' + b"x" * 1900 + b'"',
    "null": b"null",
    "spaces": b'{"a" : [ 1 ] }',
}
REFUSED = {
    "half a character at the end": rb'"well done \ud83d"',
    "half a character at the beginning": rb'"\ude00 well done"',
    "two halves in the wrong order": rb'"\ude00\ud83d"',
    "half a character in a key": rb'{"\ud83d":1}',
    "no number": b"NaN",
    "an infinity": b"[-Infinity]",
    "a number beyond all": b"[1e999]",
    "a number of too many digits": b"9" * 1900 + b"e400",
    "a control character": b'"\x01"',
    "nested too deep": b"[" * 33 + b"]" * 33,
    "nested far too deep": b"[" * 900 + b"]" * 900,
    "too large": b'"' + b"x" * 1999 + b'"',
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "messageflow.toml").write_text(CONFIG)
    with running(["serve", "--config", str(directory / "messageflow.toml")], directory) as started:
        yield started


def over_http(gateway: Running, data: bytes) -> str:
    """Publish raw JSON over the API; return why it was refused, empty when it was stored."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=SECONDS)
    try:
        body = b'{"channel":"%b","data":%b}' % (ROOM.encode(), data)
        connection.request("POST", "/api/publish", body, {"X-API-Key": API_KEY})
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    if "error" in answer:
        assert answer["error"]["code"] == 107
        return str(answer["error"]["message"])
    return ""


class Page:
    """A page in the room that publishes raw JSON, one command a frame or several."""

    def __init__(self, link: ClientConnection) -> None:
        self.link = link
        self.heard: list[bytes] = []

    async def receive(self, count: int, *, heard: int = 0) -> dict[int, dict[str, Any]]:
        """Return so many replies by their id, and once so many publications were heard."""
        replies: dict[int, dict[str, Any]] = {}
        async with asyncio.timeout(SECONDS):
            while len(replies) < count or len(self.heard) < heard:
                for line in str(await self.link.recv()).encode().split(b"\n"):
                    if line.startswith(b'{"push"'):
                        self.heard.append(line.partition(b'"data":')[2].rpartition(b',"info"')[0])
                    elif line != b"{}":
                        reply = json.loads(line)
                        replies[reply["id"]] = reply
        return replies


@asynccontextmanager
async def opened(gateway: Running) -> AsyncIterator[Page]:
    token = jwt.encode({"sub": "alice", "exp": time.time() + 600}, TOKEN_SECRET, "HS256")
    async with connect(gateway.websocket) as link:
        page = Page(link)
        commands = {"id": 1, "connect": {"token": token}}, {"id": 2, "subscribe": {"channel": ROOM}}
        await link.send("\n".join(json.dumps(command) for command in commands))
        await page.receive(2)
        yield page


def publishing(number: int, data: bytes) -> bytes:
    return b'{"id":%d,"publish":{"channel":"%b","data":%b}}' % (number, ROOM.encode(), data)


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN)
async def test_what_everybody_can_read_is_stored_as_it_is_either_way(gateway: Running, data: bytes) -> None:
    assert await asyncio.to_thread(over_http, gateway, data) == ""
    async with opened(gateway) as page:
        await page.link.send(publishing(3, data).decode())
        assert "publish" in (await page.receive(1, heard=1))[3]
        assert page.heard == [data]
    with Flow(gateway.url, api_key=API_KEY) as flow:
        newest = await asyncio.to_thread(flow.history, ROOM, limit=2, reverse=True)
        assert len(newest.publications) == 2


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
async def test_what_somebody_could_not_read_is_refused_alone_either_way(gateway: Running, data: bytes) -> None:
    said = await asyncio.to_thread(over_http, gateway, data)
    assert len(said) > 20
    frame = b"\n".join((publishing(3, b'"before"'), publishing(4, data), publishing(5, b'"after"')))
    async with opened(gateway) as page:
        await page.link.send(frame.decode())
        replies = await page.receive(3)
        assert ("publish" in replies[3], "publish" in replies[5]) == (True, True)
        assert replies[4]["error"]["code"] == (106 if "over the limit" in said else 107)
        assert len(replies[4]["error"]["message"]) > 20
        await page.link.send(publishing(6, b"1").decode())
        assert "publish" in (await page.receive(1))[6]
