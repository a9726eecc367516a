"""One server that takes writes: the one a URL names, or the one that Sentinel names just now."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from messageflow.brokers.base import Ack
from messageflow.brokers.redis.connections.connector import Connector
from messageflow.brokers.redis.connections.resp import Announcing, RedisCommand
from messageflow.brokers.redis.connections.server_check import ServerInfo
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.pubsub.pubsub_connection import PubSubListener
from messageflow.brokers.redis.topology.primary_server import PrimaryServer


class SingleTopology:
    """The topology of one server.

    Args:
        connector: where it is.
        listener: takes what is announced.
        names: of everything.
        node: this node's name.
        deadline: seconds a command may take.
    """

    def __init__(
        self, connector: Connector, listener: PubSubListener, names: Names, node: str, deadline: float
    ) -> None:
        self._where = connector.where
        self._prefix = names.prefix
        announces = Announcing("PUBLISH", f"@{connector.database}" if connector.database else "")
        self._server = PrimaryServer(
            connector.connect, listener, lambda _: names.canary(node, 0), deadline=deadline, announces=announces
        )
        self._ack: Ack = "memory"  # until it has said how it is run

    async def start(self) -> None:
        await self._server.start()

    async def close(self) -> None:
        await self._server.close()

    @property
    def trouble(self) -> str:
        return self._server.trouble

    @property
    def times_lost(self) -> int:
        return self._server.times_lost

    async def inspect(self) -> dict[str, ServerInfo]:
        found = await self._server.inspect(self._prefix)
        self._ack = found.ack
        return {self._where: found}

    async def execute(self, commands: Sequence[RedisCommand]) -> list[Any]:
        return await self._server.execute([command.parts for command in commands])

    def execute_unawaited(self, command: RedisCommand) -> None:
        self._server.commands.execute_unawaited(*command.parts)

    async def subscribe(self, name: str) -> None:
        await self._server.pubsub.subscribe(name)

    def unsubscribe(self, name: str) -> None:
        self._server.pubsub.unsubscribe(name)

    def identify_server(self, key: str) -> Hashable:
        return None

    def find_place(self, key: str) -> Hashable:
        return None

    def get_announcing(self, key: str) -> Announcing:
        return self._server.announces

    def get_ack(self, key: str) -> Ack:
        return self._ack
