"""What a visitor's page does with its socket: come, converse, leave with or without a goodbye.

Owns nothing but the bytes: `visitors` decides who comes, and what it means.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from tests.faults.clients import OPEN_TIMEOUT, token
from tests.faults.session import PONG

HANDSHAKE = (
    "GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GLANCE_SECONDS = 0.005
"""Seconds after which somebody who only glanced has left: less than an answer may take."""

Command = dict[str, Any]


def opening(user: str, channels: Sequence[str]) -> str:
    """Return the first message of a page: it connects with id 1 and enters channels with the ids from 2 on."""
    entering = [{"subscribe": {"channel": channel}} for channel in channels]
    return lines([{"connect": {"token": token(user)}}, *entering], first=1)


def lines(commands: Sequence[Command], *, first: int) -> str:
    """Return commands as one message, numbered from `first` on."""
    return "\n".join(json.dumps({"id": number, **command}) for number, command in enumerate(commands, first))


async def glance(port: int, user: str, channels: Sequence[str], chance: random.Random) -> bool:
    """Come, say who one is, and leave within milliseconds, by a reset or an end; return whether one got so far."""
    try:
        writer = await knock(port, [opening(user, channels)])
    except OSError:
        return False
    await asyncio.sleep(chance.uniform(0, GLANCE_SECONDS))
    if chance.random() < 0.5:
        writer.transport.abort()
    else:
        writer.close()
    return True


async def knock(port: int, messages: Sequence[str]) -> asyncio.StreamWriter:
    """Ask to come in and send messages at once, without waiting for any answer or reading one.

    Raises:
        OSError: nobody is there.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    frames = [Frame(Opcode.TEXT, message.encode()).serialize(mask=True) for message in messages]
    writer.write(HANDSHAKE.format(port=port).encode() + b"".join(frames))
    reader._transport.pause_reading()  # type: ignore[attr-defined]  # no stream reads so little by itself
    return writer


@asynccontextmanager
async def page(port: int, user: str, channels: Sequence[str]) -> AsyncIterator[ClientConnection]:
    """A page that has said who it is and which channels it enters; it leaves with a goodbye unless it vanished.

    Raises:
        OSError, InvalidHandshake, InvalidMessage, TimeoutError, EOFError: it could not come; see `clients.FAILURES`.
    """
    url = f"ws://127.0.0.1:{port}/connection/websocket"
    async with connect(
        url,
        compression=None,
        ping_interval=None,
        open_timeout=OPEN_TIMEOUT,
        close_timeout=0.5,
        max_size=None,
        proxy=None,
    ) as connection:
        await connection.send(opening(user, channels))
        yield connection


async def answers(connection: ClientConnection, last: int, told: list[Command]) -> dict[int, Command]:
    """Read until the answer to command `last` is there; return the answers by id. What is told unasked goes to `told`.

    Raises:
        TimeoutError: nothing came for a while.
        ConnectionClosed: it ended before.
    """
    found: dict[int, Command] = {}
    while last not in found:
        async with asyncio.timeout(OPEN_TIMEOUT):
            message = await connection.recv(decode=True)
        for text in message.split("\n"):
            if text == PONG:
                await connection.send(PONG)
            elif text:
                line = json.loads(text)
                if "push" in line:
                    told.append(line["push"])
                else:
                    found[line["id"]] = line
    return found


async def read_on(connection: ClientConnection) -> None:
    """Read whatever comes, and answer pings, until cancelled.

    Raises:
        ConnectionClosed: it ended.
    """
    while True:
        if PONG in (await connection.recv(decode=True)).split("\n"):
            await connection.send(PONG)


def vanish(connection: ClientConnection) -> None:
    """End a connection as a page does that is thrown away: without a word."""
    connection.transport.abort()
