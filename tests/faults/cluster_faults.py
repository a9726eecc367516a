"""What is done to the Redis Cluster of a run. Each fault says how often it really happened.

Owns no process; those are the engine's.
"""

from __future__ import annotations

import asyncio
import random

from tests.brokers.redis.servers import Server
from tests.faults.cluster import ClusterEngine
from tests.faults.nemesis import SHOW_SECONDS, Fault
from tests.faults.schedule import Planned

MOST_MOVED = 6
"""Slots that are moved one after the other."""


class ClusterFaults:
    """The faults of a run with a Cluster.

    Args:
        engine: what they are done to.

    Attributes:
        faults: by kind.
    """

    def __init__(self, engine: ClusterEngine) -> None:
        self._engine = engine
        faults: dict[str, Fault] = {
            "cluster_kill": self._kill,
            "cluster_lost_tail": self._lost_tail,
            "cluster_takeover": self._takeover,
            "cluster_failover": self._failover,
            "cluster_move": self._move,
            "cluster_freeze": self._freeze,
            "cluster_stall": self._freeze,
            "cluster_restart": self._restart,
            "cluster_client_kill": self._client_kill,
            "cluster_flush": self._flush,
        }
        self.faults = {kind: engine.disturbing(fault) for kind, fault in faults.items()}

    async def _kill(self, planned: Planned, chance: random.Random) -> int:
        victim = await self._engine.primary(chance)
        return int(await self._engine.take_over(victim, planned.seconds))

    async def _lost_tail(self, planned: Planned, chance: random.Random) -> int:
        return await self._engine.lose_tail(await self._engine.primary(chance), planned.seconds)

    async def _takeover(self, planned: Planned, chance: random.Random) -> int:
        """No connection is lost by it, and nobody has a reason to think that anything else was."""
        return await self._engine.lose_tail(await self._engine.primary(chance), planned.seconds, alive=True)

    async def _failover(self, planned: Planned, chance: random.Random) -> int:
        await self._engine.hand_over(await self._engine.primary(chance))
        return 1

    async def _move(self, planned: Planned, chance: random.Random) -> int:
        return await self._engine.move(chance, chance.randint(1, MOST_MOVED), planned.seconds)

    async def _freeze(self, planned: Planned, chance: random.Random) -> int:
        return int(await self._engine.freeze(await self._engine.primary(chance), planned.seconds))

    async def _restart(self, planned: Planned, chance: random.Random) -> int:
        await self._engine.restart_one(chance, planned.seconds)
        return 1

    async def _client_kill(self, planned: Planned, chance: random.Random) -> int:
        """One of them closes connections, or all do."""
        primaries = await asyncio.to_thread(lambda: self._engine.cluster.primaries)
        victims = chance.sample(primaries, chance.choice((1, len(primaries))))
        kinds = chance.choice((["normal"], ["pubsub"], ["pubsub", "normal"]))
        over = asyncio.get_running_loop().time() + SHOW_SECONDS
        while True:
            killed = await asyncio.to_thread(
                lambda: sum(_kill_clients(each, kind) for each in victims for kind in kinds)
            )
            if killed or asyncio.get_running_loop().time() > over:
                return killed
            await asyncio.sleep(0.1)

    async def _flush(self, planned: Planned, chance: random.Random) -> int:
        """All that one of them has is gone."""
        victim = await self._engine.primary(chance)
        return await asyncio.to_thread(_flush, victim)


def _kill_clients(server: Server, kind: str) -> int:
    with server.client() as client:
        return int(client.client_kill_filter(_type=kind))


def _flush(server: Server) -> int:
    with server.client() as client:
        keys = int(client.dbsize())
        client.flushall()
    return keys
