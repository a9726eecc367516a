"""A broker whose deliveries a test can lose, hold back and reorder, and whose answers it can delay or refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from messageflow.brokers.base import HistoryPart, Sink
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.protocol import Joined, Left
from messageflow.core.stream import Position, Publication
from messageflow.errors import BrokerError
from messageflow.testing.clock import ManualClock


class Link:
    """What lies between a broker and its sink.

    Attributes:
        lose: how many of the next publications never arrive.
        held: publications on their way, while `holding`; the test decides their order.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.lose = 0
        self.holding = False
        self.held: list[tuple[str, str, Publication]] = []

    def on_publication(self, channel: str, epoch: str, publication: Publication) -> None:
        if self.lose:
            self.lose -= 1
        elif self.holding:
            self.held.append((channel, epoch, publication))
        else:
            self._sink.on_publication(channel, epoch, publication)

    def release(self, reorder: Callable[[list[tuple[str, str, Publication]]], None] | None = None) -> None:
        """Let what is held arrive, in another order when there is one."""
        held, self.held, self.holding = self.held, [], False
        if reorder is not None:
            reorder(held)
        for channel, epoch, publication in held:
            self._sink.on_publication(channel, epoch, publication)

    def on_presence(self, channel: str, push: Joined | Left) -> None:
        self._sink.on_presence(channel, push)

    def on_control(self, message: bytes) -> None:
        self._sink.on_control(message)

    def on_question(self, question: bytes) -> bytes:
        return self._sink.on_question(question)

    def on_doubt(self) -> None:
        self._sink.on_doubt()


class DistantBroker(MemoryBroker):
    """The memory broker at the far end of a link.

    Attributes:
        link: what its deliveries go through.
        turns: how many turns of the loop an answer takes, half of them after it was made: it is old when it comes.
        failing: how many of the next reads fail.
        gate: when closed, no read is answered.
        reads: what was asked of the history so far.
        reading: how many reads are under way, and how many there were at once at most.
    """

    def __init__(self, clock: ManualClock | None = None, *, turns: int = 0) -> None:
        super().__init__(clock=clock or ManualClock())
        self.link: Link
        self.turns = turns
        self.failing = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads: list[tuple[str, Position]] = []
        self.reading = self.most_reading = 0

    async def start(self, sink: Sink) -> None:
        self.link = Link(sink)
        await super().start(self.link)

    async def subscribe(self, channel: str) -> None:
        await self._wait()
        await super().subscribe(channel)
        await self._wait()

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        self.reads.append((channel, position))
        self.reading += 1
        self.most_reading = max(self.reading, self.most_reading)
        try:
            await self._wait()
            if self.failing:
                self.failing -= 1
                raise BrokerError("the broker is told to fail")
            history = await super().read_since(channel, position, limit, size)
            await self._wait()
            await self.gate.wait()
            return history
        finally:
            self.reading -= 1

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart:
        await self._wait()
        history = await super().read_page(channel, offset, limit, size, reverse=reverse)
        await self._wait()
        await self.gate.wait()
        return history

    async def _wait(self) -> None:
        for _ in range(self.turns // 2):
            await asyncio.sleep(0)
