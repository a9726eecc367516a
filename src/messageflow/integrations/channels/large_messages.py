"""Messages that are too large for one publication: in pieces, in a channel of their own, which the message names.

Owns the rule by which they are cut, and what is being fetched. Never decides who gets a message.
"""

from __future__ import annotations

import asyncio
import base64
import os

from messageflow.publisher.async_flow import AsyncFlow
from messageflow.publisher.results import Position

LARGE = 32 * 1024  # bytes: as base64, with room to spare below the 64 KiB that a gateway takes by default
MOST_BYTES = 8 * 1024 * 1024  # the least that every layer must take is one


class MessageParts:
    """Messages in pieces.

    Args:
        flow: publishes and reads them.
        prefix: what the names of its channels begin with.
    """

    def __init__(self, flow: AsyncFlow, prefix: str) -> None:
        self._flow = flow
        self._prefix = f"{prefix}parts."
        self._fetching: dict[str, asyncio.Task[bytes | None]] = {}

    async def store(self, body: bytes) -> str:
        """Store a message. Returns its name."""
        name = f"{self._prefix}{os.urandom(12).hex()}.{-(-len(body) // LARGE)}"
        async with self._flow.batch() as batch:
            for start in range(0, len(body), LARGE):
                batch.publish(name, base64.b64encode(body[start : start + LARGE]).decode())
        return name

    async def fetch(self, name: str) -> bytes | None:
        """Return a message, of which the gateway is asked once by all who want it now; None where it is gone."""
        loop = asyncio.get_running_loop()
        fetching = self._fetching.get(name)
        if fetching is None or fetching.get_loop() is not loop:
            fetching = self._fetching[name] = loop.create_task(self._fetch(name))
            fetching.add_done_callback(lambda _: self._fetching.pop(name, None))
        return await asyncio.shield(fetching)

    async def _fetch(self, name: str) -> bytes | None:
        pieces: list[bytes] = []
        since = None
        while True:
            history = await self._flow.history(name, limit=1000, since=since)
            if not history.publications:
                break
            pieces += [base64.b64decode(each.data) for each in history.publications]
            since = Position(history.publications[-1].offset, history.epoch)
        return b"".join(pieces) if len(pieces) == int(name.rpartition(".")[2]) else None
