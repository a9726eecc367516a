"""A client in Python that remembers where it stands, as a page does."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import jwt
from websockets.asyncio.client import ClientConnection, connect

from tests.support import TOKEN_SECRET, Running
from tests.waiting import patience

SECONDS = 15.0


class Client:
    """A client of the gateway that remembers where it stands."""

    def __init__(self, gateway: Running, user: str) -> None:
        self.url = gateway.websocket
        self.token = jwt.encode({"sub": user, "exp": time.time() + 600}, TOKEN_SECRET, "HS256")
        self.channel = f"#{user}"
        self.position: dict[str, Any] = {}
        self.seen: list[Any] = []
        self.link: ClientConnection

    async def connect(self) -> dict[str, Any]:
        """Connect, with the position if there is one; return what is said of the personal channel."""
        self.link = await connect(self.url)
        subs = {self.channel: {"recover": True, **self.position}} if self.position else {}
        await self.link.send(json.dumps({"id": 1, "connect": {"token": self.token, "subs": subs}}))
        reply = json.loads(str(await self.link.recv()).split("\n")[0])
        found: dict[str, Any] = reply["connect"]["subs"][self.channel]
        if not found.get("recovered"):
            self.position = {"epoch": found["epoch"], "offset": found.get("offset", 0), "tag": found.get("tag", "")}
        for publication in found.get("publications", []):
            self._take(publication)
        return found

    async def listen(self, count: int) -> None:
        """Take publications until so many were seen."""
        async with asyncio.timeout(patience(SECONDS)):
            while len(self.seen) < count:
                for line in str(await self.link.recv()).split("\n"):
                    push = json.loads(line).get("push", {})
                    if push.get("channel") == self.channel and "pub" in push:
                        self._take(push["pub"])

    def _take(self, publication: dict[str, Any]) -> None:
        self.seen.append(publication["data"]["payload"])
        self.position |= {"offset": publication["offset"], "tag": publication["tag"]}
