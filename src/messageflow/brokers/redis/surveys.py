"""Questions to all nodes over Pub/Sub: asked on the control channel, answered on the asker's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from messageflow.brokers.base import Sink
from messageflow.brokers.redis.link import Link
from messageflow.brokers.redis.names import Names

log = logging.getLogger("messageflow.broker")

SURVEY_SECONDS = 1.0
QUESTION, ANSWER = b"Q", b"A"


class Surveys:
    """The surveys of one node, and its answers to those of others.

    Args:
        link: to Redis.
        names: of everything.
        node: this node's name, without spaces.
        count: returns how many nodes live.

    Attributes:
        own: the name under which this node hears answers.
    """

    def __init__(self, link: Link, names: Names, node: str, count: Callable[[], Awaitable[int]]) -> None:
        self._link = link
        self._names = names
        self._count = count
        self.own = f"{names.prefix}:to:{node}"
        self._number = 0
        self._open: dict[bytes, asyncio.Queue[bytes]] = {}

    async def ask(self, question: bytes) -> list[bytes]:
        """Return the answers of the nodes that gave one in time."""
        self._number += 1
        number = b"%d" % self._number
        answers = self._open[number] = asyncio.Queue()
        found: list[bytes] = []
        try:
            await self._link.ask(
                "PUBLISH", self._names.control, b"%b%b %b %b" % (QUESTION, number, self.own.encode(), question)
            )
            awaited = await self._count()
            async with asyncio.timeout(SURVEY_SECONDS):
                while len(found) < awaited:
                    found.append(await answers.get())
        except TimeoutError:
            log.warning("survey_incomplete", extra={"answers": len(found)})
        finally:
            del self._open[number]
        return found

    def take(self, name: bytes, body: bytes, sink: Sink) -> bool:
        """Take what belongs to a survey. Returns whether it does."""
        if body[:1] == QUESTION:
            number, back, question = body[1:].split(b" ", 2)
            answer = b"%b%b %b" % (ANSWER, number, sink.on_question(question))
            self._link.expect("PUBLISH", back, answer)
            return True
        if name == self.own.encode() and body[:1] == ANSWER:
            number, _, answer = body[1:].partition(b" ")
            if number in self._open:
                self._open[number].put_nowait(answer)
            return True
        return False
