"""Several topologies side by side, each with a part of all keys: independent shards by consistent hashing.

A shard more, at the end of the list, takes its part from all others and moves nothing else. What moves begins anew
there, and clients are told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from messageflow.brokers.base import Ack
from messageflow.brokers.redis.connections.resp import Announcing, RedisCommand
from messageflow.brokers.redis.connections.server_check import ServerInfo
from messageflow.brokers.redis.keyspace import Names, tag_of
from messageflow.brokers.redis.topology.topology import Topology

log = logging.getLogger("messageflow.broker")


@lru_cache(maxsize=65_536)
def shard_of(key: str, count: int) -> int:
    """Return which of `count` shards has a key; all keys with the same tag are in one.

    Source: Lamping and Veach, A Fast, Minimal Memory, Consistent Hash Algorithm (2014).
    """
    state = int.from_bytes(blake2b(tag_of(key).encode(), digest_size=8).digest(), "big")
    shard, following = -1, 0
    while following < count:
        shard = following
        state = (state * 2862933555777941757 + 1) % 2**64
        following = int((shard + 1) * (2**31 / ((state >> 33) + 1)))
    return shard


class ShardedTopology:
    """The topology of several.

    Args:
        topologies: in an order that all nodes share.
        names: of everything.
    """

    def __init__(self, topologies: Sequence[Topology], names: Names) -> None:
        self._shards = topologies
        self._names = names

    def _shard_with(self, key: str) -> Topology:
        return self._shards[shard_of(key, len(self._shards))]

    async def start(self) -> None:
        for number, topology in enumerate(self._shards):
            await topology.start()
            await self._sign(topology, f"{number + 1} of {len(self._shards)}")

    async def _sign(self, topology: Topology, place: str) -> None:
        """Leave word which shard it is, and warn when it was another: then channels lie elsewhere than they did."""
        name = self._names.shard
        before, _ = await topology.execute(
            [RedisCommand(name, ("GET", name)), RedisCommand(name, ("SET", name, place))]
        )
        if isinstance(before, bytes) and before.decode() != place:
            log.warning(
                "shards_changed",
                extra={"was": before.decode("utf-8", "replace"), "is": place, "advice": "all nodes need the same list"},
            )

    async def close(self) -> None:
        await asyncio.gather(*(topology.close() for topology in self._shards))

    @property
    def trouble(self) -> str:
        return "; ".join(
            f"shard {number}: {topology.trouble}" for number, topology in enumerate(self._shards, 1) if topology.trouble
        )

    @property
    def times_lost(self) -> int:
        return sum(topology.times_lost for topology in self._shards)

    async def inspect(self) -> dict[str, ServerInfo]:
        found = await asyncio.gather(*(topology.inspect() for topology in self._shards))
        return {where: each for part in found for where, each in part.items()}

    async def execute(self, commands: Sequence[RedisCommand]) -> list[Any]:
        parts: dict[int, list[int]] = {}
        for index, command in enumerate(commands):
            parts.setdefault(shard_of(command.key, len(self._shards)), []).append(index)
        asked = [self._shards[shard].execute([commands[index] for index in part]) for shard, part in parts.items()]
        replies: list[Any] = [None] * len(commands)
        for part, answers in zip(parts.values(), await asyncio.gather(*asked), strict=True):
            for index, answer in zip(part, answers, strict=True):
                replies[index] = answer
        return replies

    def execute_unawaited(self, command: RedisCommand) -> None:
        self._shard_with(command.key).execute_unawaited(command)

    async def subscribe(self, name: str) -> None:
        await self._shard_with(name).subscribe(name)

    def unsubscribe(self, name: str) -> None:
        self._shard_with(name).unsubscribe(name)

    def identify_server(self, key: str) -> Hashable:
        shard = shard_of(key, len(self._shards))
        return shard, self._shards[shard].identify_server(key)

    def find_place(self, key: str) -> Hashable:
        shard = shard_of(key, len(self._shards))
        return shard, self._shards[shard].find_place(key)

    def get_announcing(self, key: str) -> Announcing:
        return self._shard_with(key).get_announcing(key)

    def get_ack(self, key: str) -> Ack:
        return self._shard_with(key).get_ack(key)
