"""Reservations in Redis: a key for each, set by the first who comes, which goes when its time is over.

A Redis that was away may have lost some, as in a failover. So what was first shown before it was back is not taken for
new by a node that saw it go.

Owns the shapes in Redis.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable

from messageflow.brokers.redis.connections.command_client import CommandClient
from messageflow.brokers.redis.connections.resp import RedisCommand
from messageflow.brokers.redis.keyspace import Names
from messageflow.core.reservations import MINE, RUNNING, TRANSIT, UNKNOWN, Reservation

RESERVED, ENDED = b"R", b"E"


class RedisReservations:
    """The reservations under one prefix.

    Args:
        client: asks the servers.
        names: of everything.
        node: this node's name.
        window: seconds a reservation is remembered.
        list_live: returns which nodes live.
    """

    def __init__(
        self,
        client: CommandClient,
        names: Names,
        node: str,
        window: float,
        list_live: Callable[[], Awaitable[set[str]]],
    ) -> None:
        self._client = client
        self._names = names
        self._node = node
        self._milliseconds = max(1, round(window * 1000))
        self._oldest = window - TRANSIT
        self._list_live = list_live
        self._made = 0
        self._since = -math.inf  # on the monotonic clock

    def note_absence(self) -> None:
        """Redis is away, or is back; what it has lost nobody knows."""
        self._since = time.monotonic()

    async def reserve(self, user: str, key: str, age: float | None) -> Reservation:
        """Reserve a key for this node, see `ReservationStore.reserve`."""
        name = self._names.reservation(user, key)
        if age is not None and (age > self._oldest or time.monotonic() - age - TRANSIT < self._since):
            return await self._read(name) or UNKNOWN
        self._made += 1
        own = RESERVED + f"{self._node} {self._made}".encode()
        if await self._client.execute_one(RedisCommand(name, ("SET", name, own, "NX", "PX", self._milliseconds))):
            return MINE
        return await self._read(name, own) or UNKNOWN

    async def settle(self, user: str, key: str, outcome: bytes | None) -> None:
        """What was reserved has ended, see `ReservationStore.settle`."""
        name = self._names.reservation(user, key)
        if outcome is None:
            await self._client.execute_one(RedisCommand(name, ("DEL", name)))
        else:
            await self._client.execute_one(RedisCommand(name, ("SET", name, ENDED + outcome, "PX", self._milliseconds)))

    async def _read(self, name: str, own: bytes = b"") -> Reservation | None:
        found: bytes | None = await self._client.execute_one(RedisCommand(name, ("GET", name)))
        if found is None:
            return None
        if found == own:  # it was set by a command whose reply was lost, and which was sent again
            return MINE
        if found[:1] == ENDED:
            return Reservation("ended", found[1:])
        node = found[1:].partition(b" ")[0].decode(errors="replace")
        return RUNNING if node == self._node or node in await self._list_live() else UNKNOWN
