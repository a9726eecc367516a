"""People who leave between a question and its answer: reloads, back buttons, tabs closed too soon."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from typing import Any

import jwt
from websockets.asyncio.client import connect

from tests.support import TOKEN_SECRET, Running
from tests.waiting import patience

SECONDS = 15.0
SOON = 4.0  # seconds within which anybody is let in, also on a busy machine; what waits for a lost answer waits 5


def token(user: str, channels: tuple[str, ...] = ()) -> str:
    """Return what lets a user in, and into these channels."""
    claims = {"sub": user, "exp": time.time() + 600, "channels": list(channels)}
    return jwt.encode(claims, TOKEN_SECRET, "HS256")


async def pass_by(gateway: Running, user: str, *, stay: float = 0.0, channels: tuple[str, ...] = ()) -> None:
    """Open a WebSocket, ask to be let in, and be gone after `stay` seconds without having read anything."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        "GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    async with asyncio.timeout(patience(SECONDS)):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    writer.write(_frame({"id": 1, "connect": {"token": token(user, channels)}}))
    await asyncio.sleep(stay)
    writer.transport.abort()


def _frame(command: dict[str, Any]) -> bytes:
    text = json.dumps(command).encode()
    return b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text  # masked with zeros: as it is


async def let_in(gateway: Running, user: str, *, channels: tuple[str, ...] = ()) -> dict[str, Any]:
    """Connect as a user who waits, and return what the server says; fail where it takes longer than `SOON`."""
    async with asyncio.timeout(SOON), connect(gateway.websocket) as link:
        await link.send(json.dumps({"id": 1, "connect": {"token": token(user, channels)}}))
        found: dict[str, Any] = json.loads(str(await link.recv()).split("\n")[0])["connect"]
        return found
