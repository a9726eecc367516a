"""The contracts of a broker that the calls of `api` need, over Redis, for one attempt of a call."""

from __future__ import annotations

from collections.abc import Sequence

from messageflow.brokers.base import HistoryPart, Stored
from messageflow.brokers.redis.connections.command_client import CommandClient
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.presence.presence_store import RedisPresenceStore
from messageflow.brokers.redis.streams.stream_store import RedisStreamStore, to_history, unwrap_outcomes
from messageflow.core.client_info import ClientInfo
from messageflow.core.presence import PresenceCounts
from messageflow.core.stream import Item, Position
from messageflow.redis_publisher.scatter import survey
from messageflow.redis_publisher.servers import Servers


class RedisApiBroker:
    """What `api.api.ApiBroker` is: streams, who is present, and messages to nodes.

    Args:
        servers: what to ask.
        names: of everything.
        window: seconds for which an idempotency key is recognised.
        age: of streams, as gateways left it.
        limit: when the attempt must be over.
    """

    def __init__(self, servers: Servers, names: Names, window: float, age: int, limit: float) -> None:
        self._servers = servers
        self._names = names
        self._limit = limit
        self._ask = CommandClient(servers)
        self._store = RedisStreamStore(self._ask, names, window)
        self._store.age = age
        self._presence_store = RedisPresenceStore(self._ask, names)

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        return unwrap_outcomes(await self._store.publish(items))

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        return to_history(await self._store.read_since(channel, position, limit, size), channel, position)

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart:
        read = await self._store.read_page(channel, offset, limit, size, reverse=reverse)
        return HistoryPart(read.publications, read.top)

    async def remove_history(self, channel: str) -> None:
        await self._store.remove_history(channel)

    async def read_presence(self, channel: str) -> dict[str, ClientInfo]:
        return await self._presence_store.read_presence(channel)

    async def count_presence(self, channel: str) -> PresenceCounts:
        return await self._presence_store.count_presence(channel)

    async def find_occupied(self, channels: Sequence[str]) -> set[str]:
        return await self._presence_store.find_occupied(channels)

    async def send_control(self, message: bytes) -> None:
        await self._ask.announce(self._names.control, b"C" + message)

    async def survey(self, question: bytes) -> list[bytes]:
        return await survey(question, self._servers, self._ask, self._presence_store, self._names, self._limit)
