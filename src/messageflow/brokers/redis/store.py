"""What is done with streams and presence in Redis: calls to commands, replies to values.

Has no connection and no tasks: it asks servers that are given to it, so that the broker and whoever publishes to Redis
without a gateway do the same. It waits for nothing but their answers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, Protocol

from messageflow.brokers.base import Ack, History, Item, Stored
from messageflow.brokers.local import new_epoch
from messageflow.brokers.redis import scripts
from messageflow.brokers.redis.messages import Garbage, encode_info, read_entry, read_info, read_position
from messageflow.brokers.redis.names import Names
from messageflow.brokers.redis.replies import NO_ROOM, Command, Refused, Value, pairs
from messageflow.brokers.redis.scripts import Script
from messageflow.core.presence import PresenceStats
from messageflow.core.protocol import ClientInfo
from messageflow.core.stream import Position, Publication
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable, Unrecoverable

log = logging.getLogger("messageflow.broker")

STATE_LIFE = 30 * 86_400  # seconds for which the position of a channel in which nothing happens is remembered
PRESENT_LIFE = 3_600  # seconds after which a channel's presence goes if nobody renews it
WRONG_TYPE = "WRONGTYPE"
NODE = re.compile(rb"[A-Za-z0-9_.-]{1,64}")  # a node's name
AT_ONCE = 200  # publications in one call of the script, for which Redis does nothing else: about 3 ms


Stay = Callable[[str, str, str], bool]
Outcome = Stored | BrokerError  # of one publication
Call = tuple[Sequence[str], Sequence[Value]]  # keys and arguments of a script


class Servers(Protocol):
    """Whom a store asks."""

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Return a reply to each command, in order; a `BrokerError` where there is none. Never raises one."""

    def place(self, key: str) -> Hashable:
        """Return what keys have in common that one script may use together."""

    def announce(self, key: str) -> str:
        """Return the command that announces under a name there."""

    def ack(self, key: str) -> Ack:
        """Return what storing means there."""


class Read(NamedTuple):
    """What was read of a stream: where it stands, whether what was asked can be had, and that."""

    top: Position
    found: bool
    publications: list[Publication]
    complete: bool  # nothing among it was garbage


class Entered(NamedTuple):
    """Somebody present in a channel, and the node through which he is."""

    node: str
    info: ClientInfo


class Gone(NamedTuple):
    """Somebody who is to be present no more through a node."""

    node: str
    channel: str
    info: ClientInfo


class Nodes(NamedTuple):
    """Which nodes there are: whether the asker was still among them, who lives, and whose lease is over."""

    good: bool
    live: set[str]
    dead: set[str]


class Store:
    """Streams and presence under one prefix.

    Args:
        servers: whom to ask.
        names: of everything.
        window: seconds for which an idempotency key is recognised.

    Attributes:
        garbage: how much was found that messageflow does not write.
    """

    def __init__(self, servers: Servers, names: Names, window: float) -> None:
        self._servers = servers
        self._names = names
        self._window = int(window * 1000)
        self.garbage = 0

    # Streams

    async def publish(self, items: Sequence[Item]) -> list[Outcome]:
        """Store and announce. Returns what came of each item; items of one channel stay in order.

        After a failure nothing more is stored of what lies in the same place, so that the order holds.
        """
        states = [self._names.state(item.channel) for item in items]
        waiting: dict[Hashable, list[int]] = {}
        for index, state in enumerate(states):
            waiting.setdefault(self._servers.place(state), []).append(index)
        outcomes: dict[int, Outcome] = {}
        while waiting:
            parts = [indices[:AT_ONCE] for indices in waiting.values()]
            calls = [self._call([(states[index], items[index]) for index in part]) for part in parts]
            places = list(waiting)
            for place, part, reply in zip(places, parts, await self._run(scripts.PUBLISH, calls), strict=True):
                outcomes |= zip(part, self._outcomes(states[part[0]], reply, len(part)), strict=True)
                rest = waiting.pop(place)[AT_ONCE:]
                if isinstance(reply, BrokerError):
                    outcomes |= dict.fromkeys(rest, Unavailable(f"not tried, after an error: {reply}"))
                elif rest:
                    waiting[place] = rest
        return [outcomes[index] for index in range(len(items))]

    def _call(self, items: Sequence[tuple[str, Item]]) -> Call:
        """Return keys and arguments with which the script stores items of one place."""
        keys: list[str] = []
        arguments: list[Value] = [self._servers.announce(items[0][0]), new_epoch(), STATE_LIFE]
        for state, item in items:
            channel, size, ttl = state.removesuffix("state"), *item.retention
            keys += (state, f"{channel}log", f"{channel}key:{item.key}" if item.key else state)
            kept = size if item.retention.keeps else 0
            arguments += (item.data, item.info, item.tags, kept, ttl, self._window if item.key else 0)
        return keys, arguments

    def _outcomes(self, state: str, reply: Any, count: int) -> list[Outcome]:
        """Read what the script answers for so many items."""
        if isinstance(reply, BrokerError):
            return [_failure(reply)] * count
        ack = self._servers.ack(state)
        outcomes: list[Outcome] = []
        for start in range(0, 3 * count, 3):
            if reply[start] is None:
                outcomes.append(_failure(Refused(reply[start + 1].decode("utf-8", "replace"))))
            else:
                position = read_position(*reply[start : start + 3])
                outcomes.append(Stored(position, ack if position.offset else "memory"))
        return outcomes

    async def since(self, channel: str, position: Position, limit: int | None = None) -> Read:
        """Read what follows a position. `found` is false where it cannot be given without a gap."""
        epoch, offset, tag = position
        read = await self._read(channel, "since", epoch, offset, tag, -1 if limit is None else limit)
        if not read.found:
            return read
        ahead = read.top.offset - offset
        wanted = ahead if limit is None else min(ahead, max(limit, 1))
        offsets = [publication.offset for publication in read.publications]
        whole = read.complete and offsets == list(range(offset + 1, offset + 1 + wanted))
        return read._replace(found=whole)

    async def page(self, channel: str, offset: int | None = None, limit: int = 0, *, reverse: bool = False) -> Read:
        """Read up to `limit` kept publications after `offset`, before it when `reverse`."""
        return await self._read(channel, "page", -1 if offset is None else offset, limit, int(reverse))

    async def _read(self, channel: str, how: str, *arguments: Value) -> Read:
        keys = [self._names.state(channel), self._names.log(channel)]
        reply = await self._run_one(scripts.READ, keys, [new_epoch(), STATE_LIFE, how, *arguments])
        epoch, offset, tag, found, entries = reply
        publications = []
        for entry in entries:
            try:
                publications.append(read_entry(entry))
            except Garbage as error:
                self.skip(error, channel)
        top = read_position(epoch, offset, tag)
        return Read(top, bool(found), publications, len(publications) == len(entries))

    async def positions(self, channels: Sequence[str]) -> list[Position | None]:
        """Return where streams stand, None where Redis knows of none."""
        states = [self._names.state(channel) for channel in channels]
        replies = await self._ask([Command(state, ("HMGET", state, "epoch", "offset", "tag")) for state in states])
        return [None if None in reply else read_position(*reply) for reply in map(_answered, replies)]

    async def forget(self, channel: str, seen: Position) -> bool:
        """Put a stream that lost what was seen into a new epoch. Returns whether it had."""
        keys = [self._names.state(channel), self._names.log(channel)]
        return bool(await self._run_one(scripts.FORGET, keys, [seen.epoch, seen.offset, seen.tag, new_epoch()]))

    async def remove_history(self, channel: str) -> None:
        """Drop what is kept; the position stays."""
        log_name = self._names.log(channel)
        await self._ask_one(Command(log_name, ("XTRIM", log_name, "MAXLEN", 0)))

    # Presence

    async def enter(self, node: str, people: Sequence[tuple[str, ClientInfo]]) -> None:
        """People are present in channels, through a node."""
        calls: list[Call] = [
            (
                [self._names.present(channel), self._names.users(channel)],
                [info.client, node.encode() + b" " + encode_info(info), info.user, PRESENT_LIFE],
            )
            for channel, info in people
        ]
        owned = self._names.of_node(node)
        channels = {channel for channel, _ in people}
        replies = await self._ask([Command(owned, ("SADD", owned, *channels))]) if channels else []
        for reply in replies + await self._run(scripts.ENTER, calls):
            _answered(reply)

    async def disown(self, node: str, channels: Sequence[str | bytes]) -> None:
        """A node has nobody in these channels any more."""
        key = self._names.of_node(node)
        await self._ask_one(Command(key, ("SREM", key, *channels)))

    async def sift(self, channels: Sequence[str], stay: Stay) -> list[Gone]:
        """Take out of channels whoever is not there indeed.

        Args:
            channels: to look into.
            stay: says of a channel, a node and a client whether he is there indeed.

        Returns:
            Those who were taken out.
        """
        keys = [self._names.present(channel) for channel in channels]
        replies = await self._ask([Command(key, ("HGETALL", key)) for key in keys])
        going = [
            Gone(owner, channel, info)
            for channel, reply in zip(channels, map(_answered, replies), strict=True)
            for owner, info in self._read_entered(channel, reply).values()
            if not stay(channel, owner, info.client)
        ]
        return await self.exit(going)

    async def owned(self, node: str, most: int) -> list[bytes]:
        """Return up to so many of the channels in which a node has somebody, as they are written there."""
        key = self._names.of_node(node)
        found: list[bytes] = await self._ask_one(Command(key, ("SRANDMEMBER", key, most)))
        return found

    async def remove_node(self, node: str, *, lease_over: bool = False) -> None:
        """A node is no more; with `lease_over` it still has to be cleared up after."""
        name = self._names.nodes
        await self._ask_one(Command(name, ("ZADD", name, 0, node) if lease_over else ("ZREM", name, node)))

    async def publish_rules(self, rules: bytes) -> None:
        """Leave word for those who publish without a gateway."""
        await self._ask_one(Command(self._names.rules, ("SET", self._names.rules, rules)))

    async def exit(self, people: Sequence[Gone]) -> list[Gone]:
        """People are not present any more through the nodes they came through. Returns those who were."""
        calls: list[Call] = [
            ([self._names.present(channel), self._names.users(channel)], [info.client, node, info.user])
            for node, channel, info in people
        ]
        replies = [_answered(reply) for reply in await self._run(scripts.EXIT, calls)] if calls else []
        return [gone for gone, was_there in zip(people, replies, strict=True) if was_there]

    async def presence(self, channel: str) -> dict[str, ClientInfo]:
        """Return who is present through a node that lives."""
        live = (await self.nodes()).live
        return {client: info for client, (node, info) in (await self.entered(channel)).items() if node in live}

    async def presence_stats(self, channel: str) -> PresenceStats:
        """Return how many are present, without reading who; a node that died counts until it is cleared up after."""
        keys = [self._names.present(channel), self._names.users(channel)]
        clients, users = map(_answered, await self._ask([Command(key, ("HLEN", key)) for key in keys]))
        return PresenceStats(clients, users)

    async def entered(self, channel: str) -> dict[str, Entered]:
        """Return who was entered into a channel and not taken out, by client."""
        key = self._names.present(channel)
        return self._read_entered(channel, await self._ask_one(Command(key, ("HGETALL", key))))

    def _read_entered(self, channel: str, reply: list[bytes]) -> dict[str, Entered]:
        found = {}
        for client, value in pairs(reply).items():
            node, _, info = value.partition(b" ")
            try:
                found[client.decode()] = Entered(node.decode(), read_info(info))
            except (Garbage, UnicodeDecodeError) as error:
                self.skip(error, channel)
        return found

    async def nodes(self, node: str = "", lease: float = 0.0) -> Nodes:
        """Renew the lease of a node, if one is named, and look around among all."""
        name = self._names.nodes
        good, live, dead = await self._run_one(scripts.RENEW, [name], [node, lease])
        if foreign := [each for each in (*live, *dead) if not NODE.fullmatch(each)]:
            self.skip(Garbage(f"names that no node has: {foreign[:3]}"), "")
            await self._ask_one(Command(name, ("ZREM", name, *foreign)))
        return Nodes(bool(good), _node_names(live), _node_names(dead))

    # Messages

    async def tell(self, name: str, message: bytes) -> None:
        """Announce a message under a name."""
        await self._ask_one(Command(name, (self._servers.announce(name), name, message)))

    # Asking

    def skip(self, error: Exception, channel: str) -> None:
        """Pass over what is not ours."""
        self.garbage += 1
        log.error("garbage_in_redis", extra={"channel": channel, "error": str(error)})

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        """Ask; where something that is not ours lies under a key, take it away and ask again."""
        replies = await self._servers.ask(commands)
        wrong = [
            index for index, reply in enumerate(replies) if isinstance(reply, Refused) and WRONG_TYPE in reply.text
        ]
        if wrong:
            for index in wrong:
                self.skip(replies[index], "")
            keys = [key for index in wrong for key in _keys(commands[index])]
            await self._servers.ask([Command(key, ("DEL", key)) for key in keys])
            again = await self._servers.ask([commands[index] for index in wrong])
            for index, reply in zip(wrong, again, strict=True):
                replies[index] = reply
        return replies

    async def _ask_one(self, command: Command) -> Any:
        [reply] = await self._ask([command])
        return _answered(reply)

    async def _run_one(self, script: Script, keys: Sequence[str], arguments: Sequence[Value]) -> Any:
        [reply] = await self._run(script, [(keys, arguments)])
        return _answered(reply)

    async def _run(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """Run a script with each of some keys and arguments; where somebody flushed it, send it along."""

        def commands(verb: str, what: str, which: Sequence[int]) -> list[Command]:
            chosen = [calls[index] for index in which]
            return [Command(keys[0], (verb, what, len(keys), *keys, *values)) for keys, values in chosen]

        replies = await self._ask(commands("EVALSHA", script.digest, range(len(calls))))
        missing = [
            index for index, reply in enumerate(replies) if isinstance(reply, Refused) and reply.word == "NOSCRIPT"
        ]
        if missing:
            again = await self._ask(commands("EVAL", script.text, missing))
            for index, reply in zip(missing, again, strict=True):
                replies[index] = reply
        return replies


def history(read: Read, channel: str, position: Position) -> History:
    """Return what was read after a position.

    Raises:
        Unrecoverable: it cannot be given without a gap.
    """
    if not read.found:
        raise Unrecoverable(
            f"offset {position.offset} of epoch {position.epoch!r} is not in the history of {channel!r}"
        )
    return History(read.publications, read.top)


def _keys(command: Command) -> Sequence[str]:
    """Return the keys a command is about."""
    if command.parts[0] in ("EVALSHA", "EVAL"):
        return [str(key) for key in command.parts[3 : 3 + int(command.parts[2])]]
    return [command.key]


def _node_names(found: Sequence[bytes]) -> set[str]:
    return {name.decode() for name in found if NODE.fullmatch(name)}


def _answered(reply: Any) -> Any:
    if isinstance(reply, BrokerError):
        raise reply
    return reply


def stored(outcomes: Sequence[Outcome]) -> list[Stored]:
    """Return the outcomes of a call, if all of it was stored.

    Raises:
        Unanswered: a part of it may have been stored.
        BrokerError: nothing of it was.
    """
    found = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
    if len(found) == len(outcomes):
        return found
    error = next(outcome for outcome in outcomes if isinstance(outcome, BrokerError))
    if found or any(isinstance(outcome, Unanswered) for outcome in outcomes):
        raise Unanswered(f"not all of it was stored: {error}" if found else str(error))
    raise error


def _failure(error: BrokerError) -> BrokerError:
    """Return what a failed publish is to its caller: a script that is refused for want of room has stored nothing."""
    if isinstance(error, Refused) and error.word in NO_ROOM:
        return NoRoom(f"Redis takes no writes: {error.text}")
    return error
