"""Which server has a key: the one that takes writes, or the primaries of a Cluster.

As `brokers.redis.topology`, for callers that come and go: nothing runs between calls, so what is known is looked at
again when a call finds it wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import closing
from typing import Any, Protocol

from messageflow.brokers.redis.connections.resp import Announcing, ErrorReply, RedisCommand
from messageflow.brokers.redis.connections.sentinel import ask_for_primary, read_primary
from messageflow.brokers.redis.connections.server_check import choose_announcing, parse_info
from messageflow.brokers.redis.connections.url import Address
from messageflow.brokers.redis.topology.redirects import Then, read_redirect
from messageflow.brokers.redis.topology.slot_map import SlotMap, read_slots, slot_of
from messageflow.client_io.kernel import (
    Attempt,
    Broken,
    ClientConnection,
    ClientIO,
    time_left,
    translate_errors,
)
from messageflow.client_io.pool import ConnectionPool, exchange
from messageflow.redis_publisher.server_connector import NotAccepted, ServerConnector, make_part, pack


class Router(Protocol):
    """One Redis, or a Cluster of them."""

    announces: Announcing
    """How something is announced there."""

    in_doubt: bool
    """Whether it has to be prepared again."""

    async def prepare(self, attempt: Attempt) -> None:
        """Find out what has to be known before servers can be asked.

        Raises:
            Broken, NotAccepted, TimeoutError: it cannot be found out.
        """

    def pool(self, key: str) -> ConnectionPool:
        """Return the connections to the server that has a key."""

    def pools(self) -> Iterable[ConnectionPool]:
        """Return the connections to each server that has keys."""

    def find_place(self, key: str) -> Hashable:
        """Return what keys have in common that one script may use together."""

    def follow(self, command: RedisCommand, refusal: ErrorReply, asked: ConnectionPool) -> ConnectionPool | None:
        """Take what a refusal says of where a key is. Returns the server to ask at once, None where there is none."""

    def doubt(self) -> None:
        """Something hints that what is known is wrong."""

    def close(self) -> None:
        """Close all idle connections."""

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections."""


class PrimaryRouter:
    """One server that takes writes: the one a URL names, or the one Sentinel names when a connection is made."""

    in_doubt = False

    def __init__(self, io: ClientIO, connector: ServerConnector) -> None:
        self.announces = Announcing("PUBLISH", f"@{connector.database}" if connector.database else "")
        self._io = io
        self._connector = connector
        self._pool = ConnectionPool(io, self._dial, "the primary")

    async def prepare(self, attempt: Attempt) -> None:
        pass

    def pool(self, key: str) -> ConnectionPool:
        return self._pool

    def pools(self) -> Iterable[ConnectionPool]:
        return (self._pool,)

    def find_place(self, key: str) -> Hashable:
        return None

    def follow(self, command: RedisCommand, refusal: ErrorReply, asked: ConnectionPool) -> ConnectionPool | None:
        return None

    def doubt(self) -> None:
        self.close()

    def close(self) -> None:
        self._pool.clear()

    def abandon(self) -> None:
        self._pool.abandon()

    async def _dial(self, limit: float) -> ClientConnection:
        connector = self._connector
        if connector.service:
            return await _connect(self._io, connector, await self._ask_sentinels(limit), limit)
        return await connector.connect(self._io, connector.addresses[0] if connector.addresses else None, limit)

    async def _ask_sentinels(self, limit: float) -> Address:
        """Return the server that Sentinels name."""

        async def ask(address: Address, until: float) -> Any:
            connection = await self._connector.connect(self._io, address, until, sentinel=True)
            with closing(connection), translate_errors():
                await connection.send(pack([ask_for_primary(self._connector.service)]), until)
                return read_primary(await connection.receive(until))

        found: Address | None = await ask_first(self._connector.addresses, ask, limit)
        if found is not None:
            return found
        raise Broken(f"no Sentinel names a primary of {self._connector.service!r}")


class ClusterRouter:
    """The primaries of a Cluster.

    Args:
        io: of this process or event loop.
        connector: names some nodes.

    Attributes:
        announces: before Redis 7 every server hears all, since then announcements lie in slots.
    """

    def __init__(self, io: ClientIO, connector: ServerConnector) -> None:
        self.announces = Announcing("PUBLISH")
        self._io = io
        self._connector = connector
        self._pools: dict[Address, ConnectionPool] = {}
        self._slots: SlotMap[ConnectionPool] = SlotMap()
        self.in_doubt = True

    async def prepare(self, attempt: Attempt) -> None:
        if not self.in_doubt:
            return

        async def ask(address: Address, until: float) -> Any:
            commands = make_part(self._at(address), [("CLUSTER", "SLOTS"), ("INFO", "server")])
            [[rows, info]] = await exchange([commands], Attempt(until))
            if isinstance(info, bytes):
                self.announces = choose_announcing(parse_info(info))
            return self._read(rows, address)

        known = dict.fromkeys([*self._pools, *self._connector.addresses])
        slots = await ask_first(list(known), ask, attempt.limit)
        if slots is None:
            raise Broken("the Redis Cluster does not have all of its slots")
        self._slots, self.in_doubt = slots, False

    def _read(self, rows: Any, asked: Address) -> SlotMap[ConnectionPool] | None:
        """Return the server of each slot; None when one has none."""
        try:
            slots = SlotMap.from_ranges(read_slots(rows, asked), self._at)
        except ValueError as error:
            raise Broken(str(error)) from None
        return slots if slots.is_whole else None

    def _at(self, address: Address) -> ConnectionPool:
        pool = self._pools.get(address)
        if pool is None:

            async def dial(limit: float) -> ClientConnection:
                return await _connect(self._io, self._connector, address, limit)

            pool = self._pools.setdefault(address, ConnectionPool(self._io, dial, str(address)))
        return pool

    def pool(self, key: str) -> ConnectionPool:
        pool = self._slots.find(key)
        assert pool is not None, "the map is whole once it is prepared"
        return pool

    def pools(self) -> Iterable[ConnectionPool]:
        return self._slots.servers

    def find_place(self, key: str) -> Hashable:
        return slot_of(key)

    def follow(self, command: RedisCommand, refusal: ErrorReply, asked: ConnectionPool) -> ConnectionPool | None:
        host = asked.name.rpartition(":")[0]
        redirect = read_redirect(refusal, announces=command.announces, host=host)
        if redirect is None or redirect.address is None:
            return None
        pool = self._at(redirect.address)
        if redirect.then is Then.FOLLOW:
            self._slots.move(command.key, pool)
            self.in_doubt = True
        return pool

    def doubt(self) -> None:
        self.in_doubt = True

    def close(self) -> None:
        for pool in tuple(self._pools.values()):
            pool.clear()

    def abandon(self) -> None:
        for pool in tuple(self._pools.values()):
            pool.abandon()


async def _connect(io: ClientIO, connector: ServerConnector, address: Address, limit: float) -> ClientConnection:
    """Connect to one of several; that nobody listens there does not mean that nobody is there."""
    try:
        return await connector.connect(io, address, limit)
    except Broken as error:
        raise Broken(error.reason, hopeless=error.hopeless) from error


async def ask_first(addresses: list[Address], ask: Callable[[Address, float], Any], limit: float) -> Any:
    """Return what the first of some servers says that says something, None where all say nothing.

    Each has a part of the time that is left.

    Raises:
        Broken, NotAccepted, TimeoutError: what the last of them failed with.
    """
    failure: Exception | None = None
    for number, address in enumerate(addresses):
        until = time.monotonic() + time_left(limit) / (len(addresses) - number)
        try:
            if found := await ask(address, until):
                return found
        except (Broken, NotAccepted, TimeoutError) as error:
            failure = error
    if failure is not None:
        raise failure
    return None
