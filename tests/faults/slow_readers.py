"""Readers that stop reading: what they are sent fills all there is between them and the gateway, until it feels it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from tests.faults.clients import Client, until
from tests.faults.flood import Floods
from tests.faults.gateway import Gateway, any_away
from tests.faults.schedule import Planned

TURNS = 5
"""How often they stop at most until one is full. Turns in which a gateway is away, and sends nothing, do not count."""

TURN_SECONDS = 4.0
"""Seconds they stop at a time: who answers no ping for longer has no connection to be slow on."""

GO_SECONDS = 0.5
"""Seconds they read between two stops: one that was closed meanwhile has to come back to be slow."""


class SlowReaders:
    """The fault they are.

    Args:
        gateways: all of them.
        clients: of whom some are slow.
        floods: publishes what fills them.

    Attributes:
        faults: by kind.
    """

    def __init__(self, gateways: Sequence[Gateway], clients: Sequence[Client], floods: Floods) -> None:
        self._gateways = gateways
        self._clients = clients
        self._floods = floods
        self.faults: dict[str, Callable[[Planned, random.Random], Awaitable[int]]] = {"slow_reader": self._slow_reader}

    async def _slow_reader(self, planned: Planned, chance: random.Random) -> int:
        """Some readers stop reading for as long as planned, and again until one of them was full."""
        slow = chance.sample(self._clients, chance.randint(1, max(1, len(self._clients) * 2 // 3)))
        before = sum(client.proxy.fired["blocked"] for client in slow)

        def fired() -> int:
            return sum(client.proxy.fired["blocked"] for client in slow) - before

        turns = 0
        while True:
            await self._stop(slow, fired, chance, planned.seconds)
            turns += not any_away(self._gateways)
            if fired() or turns == TURNS:
                return fired()
            await asyncio.sleep(GO_SECONDS)

    async def _stop(
        self, slow: Sequence[Client], fired: Callable[[], int], chance: random.Random, seconds: float
    ) -> None:
        """Let them stop reading for so long, and at least until one is full or has most likely been closed."""
        for client in slow:
            client.reading.clear()
        try:
            async with self._floods.for_everybody(chance):
                lasting = asyncio.create_task(asyncio.sleep(seconds))
                await until(fired, TURN_SECONDS)
                await lasting
        finally:
            for client in slow:
                client.reading.set()
