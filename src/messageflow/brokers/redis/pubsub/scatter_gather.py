"""Scatter and gather over pub/sub: a question to all nodes, and their answers under the name of the node that asks.

Owns the questions under way, never what they mean.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from messageflow.brokers.base import Sink, own_task
from messageflow.brokers.redis.keyspace import Names

log = logging.getLogger("messageflow.broker")

SURVEY_SECONDS = 1.0
QUESTION, ANSWER = b"Q", b"A"

Announce = Callable[[str, bytes], Awaitable[None]]
AnnounceUnawaited = Callable[[str, bytes], None]


def encode_question(number: int, back: str, text: bytes) -> bytes:
    """Return a question as it is announced; the answers come under the name `back`."""
    return b"%b%d %b %b" % (QUESTION, number, back.encode(), text)


def read_answer(body: bytes) -> tuple[int, bytes] | None:
    """Return the number of the question that is answered, and the answer; None when it is none.

    Raises:
        ValueError: it cannot be read.
    """
    if body[:1] != ANSWER:
        return None
    number, _, text = body[1:].partition(b" ")
    return int(number), text


class ScatterGather:
    """The surveys of one node, and its answers to those of others.

    Args:
        names: of everything.
        node: this node's name, without spaces.
        announce: announces under a name, and returns once that is done.
        announce_unawaited: announces under a name if it can be done now.
        count: returns how many nodes live.

    Attributes:
        own: the name under which this node hears answers.
    """

    def __init__(
        self,
        names: Names,
        node: str,
        announce: Announce,
        announce_unawaited: AnnounceUnawaited,
        count: Callable[[], Awaitable[int]],
    ) -> None:
        self._names = names
        self._announce = announce
        self._announce_unawaited = announce_unawaited
        self._count = count
        self.own = names.to_node(node)
        self._number = 0
        self._open: dict[int, asyncio.Queue[bytes]] = {}

    async def ask(self, text: bytes) -> list[bytes]:
        """Return the answers of the nodes that gave one in time."""
        self._number += 1
        number = self._number
        answers = self._open[number] = asyncio.Queue()
        found: list[bytes] = []
        try:
            await self._announce(self._names.control, encode_question(number, self.own, text))
            awaited = await self._count()
            await own_task()
            async with asyncio.timeout(SURVEY_SECONDS):
                while len(found) < awaited:
                    found.append(await answers.get())
        except TimeoutError:
            log.warning("survey_incomplete", extra={"answers": len(found)})
        finally:
            del self._open[number]
        return found

    def take(self, name: bytes, body: bytes, sink: Sink) -> bool:
        """Take what belongs to a survey. Returns whether it does.

        Raises:
            ValueError: it cannot be read.
        """
        if body[:1] == QUESTION:
            number, back, text = body[1:].split(b" ", 2)
            self._announce_unawaited(back.decode(), b"%b%d %b" % (ANSWER, int(number), sink.on_question(text)))
            return True
        if name == self.own.encode() and (found := read_answer(body)) is not None:
            if found[0] in self._open:
                self._open[found[0]].put_nowait(found[1])
            return True
        return False
