"""The nodes that share a Redis: who lives, and who is present through whom.

Each node renews its lease; the first to see that another's is over clears what that one left behind. Owns one task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from messageflow.brokers.redis.link import Link, pairs
from messageflow.brokers.redis.messages import Garbage, encode_info, read_info
from messageflow.brokers.redis.names import Names
from messageflow.core.presence import PresenceStats
from messageflow.core.protocol import ClientInfo, Left
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")

LEASE = 20.0  # seconds a node is believed after its last sign of life
RENEW_EVERY = 5.0
PRESENT_LIFE = 86_400  # seconds after which a channel's presence goes if nobody touches it

Tell = Callable[[str, Left], None]


class Nodes:
    """This node among the others.

    Args:
        link: to Redis.
        names: of everything.
        node: this node's name, without spaces, unique among all that ever were.
        tell: announces that somebody left a channel.
    """

    def __init__(self, link: Link, names: Names, node: str, tell: Tell) -> None:
        self._link = link
        self._names = names
        self._node = node
        self._tell = tell
        self._live: set[str] = set()

    async def renew(self) -> None:
        """Say that this node lives, learn who else does, and clear up after those that do not any more."""
        now = await self._now()
        await self._link.ask("ZADD", self._names.nodes, now + LEASE, self._node)
        await self._look_around(now)
        for dead in await self._link.ask("ZRANGEBYSCORE", self._names.nodes, "-inf", f"({now}"):
            if await self._link.ask("ZREM", self._names.nodes, dead):
                await self._clear(dead.decode())

    async def _look_around(self, now: float) -> None:
        found = await self._link.ask("ZRANGEBYSCORE", self._names.nodes, now, "+inf")
        self._live = {name.decode() for name in found}

    async def leave(self) -> None:
        """Be no node any more."""
        await self._link.ask("ZREM", self._names.nodes, self._node)

    async def count(self) -> int:
        """Return how many nodes live."""
        return int(await self._link.ask("ZCOUNT", self._names.nodes, await self._now(), "+inf"))

    async def _now(self) -> float:
        seconds, micros = await self._link.ask("TIME")
        return int(seconds) + int(micros) / 1e6

    async def _clear(self, node: str) -> None:
        channels = await self._link.ask("SMEMBERS", self._names.of_node(node))
        await self._link.ask("DEL", self._names.of_node(node))
        log.warning("node_gone", extra={"node": node, "channels": len(channels)})
        for name in channels:
            channel = name.decode()
            for client, (owner, info) in (await self._entries(channel)).items():
                if owner == node:
                    await self._link.ask("HDEL", self._names.present(channel), client)
                    self._tell(channel, Left(info))

    # Presence

    async def enter(self, channel: str, info: ClientInfo) -> None:
        """Somebody is present in a channel through this node."""
        value = self._node.encode() + b" " + encode_info(info)
        await asyncio.gather(
            self._link.ask("HSET", self._names.present(channel), info.client, value),
            self._link.ask("EXPIRE", self._names.present(channel), PRESENT_LIFE),
            self._link.ask("SADD", self._names.of_node(self._node), channel),
        )

    async def exit(self, channel: str, info: ClientInfo) -> None:
        """He is not any more."""
        await self._link.ask("HDEL", self._names.present(channel), info.client)

    async def clients(self, channel: str) -> dict[str, ClientInfo]:
        """Return who is present through a node that lives."""
        entries = await self._entries(channel)
        nodes = {node for node, _ in entries.values()} - {self._node}
        if not nodes <= self._live:
            await self._look_around(await self._now())
        alive = self._live | {self._node}
        return {client: info for client, (node, info) in entries.items() if node in alive}

    async def stats(self, channel: str) -> PresenceStats:
        """Return how many are."""
        infos = (await self.clients(channel)).values()
        return PresenceStats(len(infos), len({info.user for info in infos}))

    async def _entries(self, channel: str) -> dict[str, tuple[str, ClientInfo]]:
        reply = await self._link.ask("HGETALL", self._names.present(channel))
        found = reply if isinstance(reply, dict) else pairs(reply)
        entries = {}
        for client, value in found.items():
            node, _, info = value.partition(b" ")
            try:
                entries[client.decode()] = (node.decode(), read_info(info))
            except (Garbage, UnicodeDecodeError) as error:
                log.error("presence_not_understood", extra={"channel": channel, "error": str(error)})
        return entries

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await self.renew()
            except BrokerError as error:
                log.warning("lease_not_renewed", extra={"error": str(error)})
