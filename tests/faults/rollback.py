"""A Redis that comes back with what it had a while ago, while no gateway was there to notice.

Readers that say no tags stay away until the streams have passed the place where those readers stood: by their offsets
alone they cannot be told from readers who missed the newest.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from messageflow import Flow
from messageflow.errors import PublishError
from tests.faults.clients import Client
from tests.faults.disturbances import start_again
from tests.faults.engine import Engine
from tests.faults.gateway import Gateway
from tests.faults.schedule import Planned
from tests.support import API_KEY

PASSED_SECONDS = 12.0
"""Seconds for which readers stay away at most, until the streams have passed them."""


class Rollback:
    """The fault `redis_rolled_back`.

    Args:
        engine: whose Redis goes back.
        gateways: all of them; none watches.
        clients: the readers.
        directory: for the copies.
        misbehaved: takes what gateways must not do.
    """

    def __init__(
        self,
        engine: Engine,
        gateways: Sequence[Gateway],
        clients: Sequence[Client],
        directory: Path,
        misbehaved: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._gateways = gateways
        self._clients = clients
        self._directory = directory
        self._misbehaved = misbehaved

    async def do(self, planned: Planned, chance: random.Random) -> int:
        """Do it; return how many readers' places the streams have passed, or left for another epoch."""
        copy = self._directory / f"redis-copy-{planned.number}"
        await asyncio.to_thread(self._engine.primary.copy_to, copy)
        await asyncio.sleep(planned.seconds)
        away = [client for client in self._clients if not client.tags]
        for client in away:
            client.coming.clear()
        try:
            with self._engine.disturbed():
                for gateway in self._gateways:
                    gateway.taken = True
                    await gateway.kill()
                await self._engine.primary.kill()
                await asyncio.to_thread(self._engine.primary.put_back, copy)
                await self._engine.primary.start()
            for gateway in self._gateways:
                await start_again(gateway, self._engine, self._misbehaved)
            return await self._passed(away)
        finally:
            for client in away:
                client.coming.set()

    async def _passed(self, away: Sequence[Client]) -> int:
        places = {(channel, *at[:2]) for client in away for channel, at in client.session.positions.items()}
        with Flow(self._gateways[0].url, api_key=API_KEY) as flow:
            over = asyncio.get_running_loop().time() + PASSED_SECONDS
            while asyncio.get_running_loop().time() < over:
                passed = [place for place in places if await asyncio.to_thread(_is_past, flow, *place)]
                if len(passed) == len(places):
                    break
                await asyncio.sleep(0.2)
        return len(passed)


def _is_past(flow: Flow, channel: str, epoch: str, offset: int) -> bool:
    with suppress(PublishError):
        history = flow.history(channel, limit=0)
        return history.epoch != epoch or history.offset > offset
    return False
