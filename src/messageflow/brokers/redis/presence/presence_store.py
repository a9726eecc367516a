"""Presence and the registry of nodes in Redis: calls to commands, replies to values.

Owns the shapes in Redis, never remembers who is present (`local_presence`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from messageflow.brokers.redis import scripts
from messageflow.brokers.redis.connections.command_client import CommandClient, ScriptCall, raise_if_error
from messageflow.brokers.redis.connections.resp import RedisCommand, to_dict
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.messages import Garbage, encode_info, read_info
from messageflow.core.client_info import ClientInfo
from messageflow.core.presence import PresenceCounts
from messageflow.errors import BrokerError

GRAVE_LIFE = 86_400  # seconds for which a node that was cleared up after can find out; its clients wait for less
PRESENT_LIFE = 3_600  # seconds after which a channel's presence goes unless a node renews it
NODE = re.compile(rb"[A-Za-z0-9_.-]{1,64}")  # a node's name

Stay = Callable[[str, str, str], bool]


class Entered(NamedTuple):
    """A client that is present in a channel, and the node it is connected to."""

    node: str
    info: ClientInfo


class Gone(NamedTuple):
    """A client that is to be present no more through a node."""

    node: str
    channel: str
    info: ClientInfo


class Nodes(NamedTuple):
    """Which nodes there are: whether the one that asks was still among them, which live, and which leases are over."""

    good: bool
    live: set[str]
    dead: set[str]


class RedisPresenceStore:
    """Presence and nodes under one prefix.

    Args:
        client: asks the servers.
        names: of everything.
    """

    def __init__(self, client: CommandClient, names: Names) -> None:
        self._client = client
        self._names = names
        self._live: set[str] | None = None  # when it was known last

    async def enter(self, node: str, people: Sequence[tuple[str, ClientInfo]]) -> bool:
        """Enter clients into channels, through a node.

        Returns:
            Whether it was noted that the node has clients there, by which others clear up after it. That lies
            elsewhere than the channels, and its failure keeps no client out.
        """
        calls: list[ScriptCall] = [
            (
                [self._names.present(channel), self._names.users(channel)],
                [info.client, node.encode() + b" " + encode_info(info), info.user, PRESENT_LIFE],
            )
            for channel, info in people
        ]
        channels = {channel for channel, _ in people}
        if not channels:
            return True
        try:
            await self.own(node, channels)
            noted = True
        except BrokerError:
            noted = False
        for reply in await self._client.run_each(scripts.ENTER, calls):
            raise_if_error(reply)
        return noted

    async def own(self, node: str, channels: Iterable[str]) -> None:
        """Note that a node has clients in these channels."""
        key = self._names.of_node(node)
        await self._client.execute_one(RedisCommand(key, ("SADD", key, *channels)))

    async def disown(self, node: str, channels: Sequence[str | bytes]) -> None:
        """Note that a node has no clients in these channels any more."""
        key = self._names.of_node(node)
        await self._client.execute_one(RedisCommand(key, ("SREM", key, *channels)))

    async def sift(self, channels: Sequence[str], stay: Stay) -> list[Gone]:
        """Take clients out of channels that are not connected any more.

        Args:
            channels: to look into.
            stay: says of a channel, a node and a client whether it stays.

        Returns:
            Those that were taken out.
        """
        keys = [self._names.present(channel) for channel in channels]
        replies = await self._client.execute([RedisCommand(key, ("HGETALL", key)) for key in keys])
        going = [
            Gone(owner, channel, info)
            for channel, reply in zip(channels, map(raise_if_error, replies), strict=True)
            for owner, info in self._parse_entered(channel, reply).values()
            if not stay(channel, owner, info.client)
        ]
        outcomes = await self.exit(going)
        return [gone for gone, was_there in zip(going, map(raise_if_error, outcomes), strict=True) if was_there]

    async def list_owned(self, node: str, most: int) -> list[bytes]:
        """Return up to so many of the channels in which a node has clients, as they are written there."""
        key = self._names.of_node(node)
        found: list[bytes] = await self._client.execute_one(RedisCommand(key, ("SRANDMEMBER", key, most)))
        return found

    async def remove_node(self, node: str, *, lease_over: bool = False) -> None:
        """A node is no more; with `lease_over` it still has to be cleared up after."""
        name, owned = self._names.nodes, self._names.of_node(node)
        if lease_over:
            await self._client.execute_one(RedisCommand(name, ("ZADD", name, 0, node)))
        else:
            await self._client.execute_one(RedisCommand(owned, ("DEL", owned)))
            await self._client.execute_one(RedisCommand(name, ("ZREM", name, node)))

    async def bury(self, node: str) -> bool:
        """Leave word for a node that it is cleared up after, should it come back.

        Returns:
            Whether its lease is over still. One that renews it after that finds the word; one that did it before is not
            to be cleared up after.
        """
        grave = self._names.grave(node)
        await self._client.execute_one(RedisCommand(grave, ("SET", grave, 1, "EX", GRAVE_LIFE)))
        if node in (await self.list_nodes()).dead:
            return True
        await self.leave_grave(node)
        return False

    async def is_buried(self, node: str) -> bool:
        """Whether others have begun to clear up after a node, or have done it."""
        grave = self._names.grave(node)
        return await self._client.execute_one(RedisCommand(grave, ("GET", grave))) is not None

    async def leave_grave(self, node: str) -> None:
        """The node lives, and knows what follows."""
        grave = self._names.grave(node)
        await self._client.execute_one(RedisCommand(grave, ("DEL", grave)))

    async def find_absent(self, channel: str, clients: Sequence[str]) -> list[str]:
        """Return those of some clients that are not entered into a channel."""
        key = self._names.present(channel)
        found = await self._client.execute_one(RedisCommand(key, ("HMGET", key, *clients)))
        return [client for client, value in zip(clients, found, strict=True) if value is None]

    async def publish_rules(self, rules: bytes) -> None:
        """Leave the rules for flows that publish without a gateway."""
        await self._client.execute_one(RedisCommand(self._names.rules, ("SET", self._names.rules, rules)))

    async def exit(self, people: Sequence[Gone]) -> list[bool | BrokerError]:
        """Take clients out that came through these nodes. Returns of each whether it was there."""
        calls: list[ScriptCall] = [
            ([self._names.present(channel), self._names.users(channel)], [info.client, node, info.user])
            for node, channel, info in people
        ]
        replies = await self._client.run_each(scripts.EXIT, calls) if calls else []
        return [reply if isinstance(reply, BrokerError) else bool(reply) for reply in replies]

    async def read_presence(self, channel: str) -> dict[str, ClientInfo]:
        """Return who is present through a node that lives, as far as that is known while its place is away."""
        try:
            live = (await self.list_nodes()).live
        except BrokerError:
            if self._live is None:
                raise
            live = self._live
        return {client: info for client, (node, info) in (await self.read_entered(channel)).items() if node in live}

    async def count_presence(self, channel: str) -> PresenceCounts:
        """Return how many are present, without reading who; a node that died counts until it is cleared up after."""
        keys = [self._names.present(channel), self._names.users(channel)]
        clients, users = map(
            raise_if_error, await self._client.execute([RedisCommand(key, ("HLEN", key)) for key in keys])
        )
        return PresenceCounts(clients, users)

    async def find_occupied(self, channels: Sequence[str]) -> set[str]:
        """Return those of these channels in which anybody is present, as `count_presence` counts."""
        keys = [self._names.present(channel) for channel in channels]
        replies = await self._client.execute([RedisCommand(key, ("HLEN", key)) for key in keys])
        return {channel for channel, reply in zip(channels, replies, strict=True) if raise_if_error(reply)}

    async def read_entered(self, channel: str) -> dict[str, Entered]:
        """Return who was entered into a channel and not taken out, by client."""
        key = self._names.present(channel)
        return self._parse_entered(channel, await self._client.execute_one(RedisCommand(key, ("HGETALL", key))))

    def _parse_entered(self, channel: str, reply: list[bytes]) -> dict[str, Entered]:
        found = {}
        for client, value in to_dict(reply).items():
            node, _, info = value.partition(b" ")
            try:
                found[client.decode()] = Entered(node.decode(), read_info(info))
            except (Garbage, UnicodeDecodeError) as error:
                self._client.skip_garbage(error, channel)
        return found

    async def renew(self, node: str, lease: float) -> Nodes:
        """Renew the lease of a node for so many seconds, and return all nodes."""
        return await self._read_nodes(node, lease)

    async def list_nodes(self) -> Nodes:
        """Return all nodes."""
        return await self._read_nodes("", 0.0)

    async def _read_nodes(self, node: str, lease: float) -> Nodes:
        name = self._names.nodes
        good, live, dead = await self._client.run_script(scripts.RENEW, [name], [node, lease])
        if foreign := [each for each in (*live, *dead) if not NODE.fullmatch(each)]:
            self._client.skip_garbage(Garbage(f"names that no node has: {foreign[:3]}"), "")
            await self._client.execute_one(RedisCommand(name, ("ZREM", name, *foreign)))
        self._live = _node_names(live)
        return Nodes(bool(good), self._live, _node_names(dead))


def _node_names(found: Sequence[bytes]) -> set[str]:
    return {name.decode() for name in found if NODE.fullmatch(name)}
