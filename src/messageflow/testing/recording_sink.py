"""What the suites of brokers, and other tests of brokers, need: a sink that keeps what it is given, items, patience."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from messageflow.core.protocol import Joined, Left
from messageflow.core.stream import Item, Publication, Retention

KEPT = Retention(100, 60)
NOT_KEPT = Retention(0, 0)
PATIENCE = 20.0  # seconds a delivery may take, on a busy machine too


class RecordingSink:
    """Keeps what a broker delivers."""

    def __init__(self) -> None:
        self.publications: list[tuple[str, Publication]] = []
        self.pushes: list[tuple[str, Joined | Left]] = []
        self.control: list[bytes] = []
        self.doubts = 0

    def on_publication(self, channel: str, epoch: str, publication: Publication) -> None:
        self.publications.append((channel, publication))

    def on_presence(self, channel: str, push: Joined | Left) -> None:
        self.pushes.append((channel, push))

    def on_control(self, message: bytes) -> None:
        self.control.append(message)

    def on_question(self, question: bytes) -> bytes:
        return b"answer to " + question

    def on_doubt(self) -> None:
        self.doubts += 1


def items(channel: str, *data: int, retention: Retention = KEPT) -> list[Item]:
    """Return an item for each number."""
    return [Item(channel, str(each).encode(), retention) for each in data]


async def until(condition: Callable[[], bool]) -> None:
    """Return once a condition holds; fail when it does not within `PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - a condition of anything, not of an event
            await asyncio.sleep(0.002)
