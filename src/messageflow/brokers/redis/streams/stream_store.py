"""Streams in Redis: calls to commands, replies to values."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from messageflow.brokers.base import HistoryPart, Stored
from messageflow.brokers.local import new_epoch
from messageflow.brokers.redis import scripts
from messageflow.brokers.redis.connections.command_client import CommandClient, ScriptCall
from messageflow.brokers.redis.connections.resp import NO_ROOM, ErrorReply, RedisCommand, Value
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.messages import Garbage, read_entry, read_position
from messageflow.core.stream import Item, Position, Publication
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable, Unrecoverable

STATE_LIFE = 30 * 86_400  # seconds for which the position of a channel in which nothing happens is remembered
AT_ONCE = 200  # publications in one call of the script, for which Redis does nothing else: about 3 ms


Outcome = Stored | BrokerError  # of one publication


class Read(NamedTuple):
    """What was read of a stream: where it stands, whether what was asked can be had, and that."""

    top: Position
    found: bool
    publications: list[Publication]
    complete: bool  # nothing among it was garbage
    full: bool  # it ends where it does because it has as many bytes as it may


class RedisStreamStore:
    """Streams under one prefix.

    Args:
        client: asks the servers.
        names: of everything.
        window: seconds for which an idempotency key is recognised.

    Attributes:
        age: of streams, as far as it is known, see `rollback_detection`; 0 judges none.
    """

    def __init__(self, client: CommandClient, names: Names, window: float) -> None:
        self._client = client
        self._names = names
        self._window = int(window * 1000)
        self.age = 0

    async def publish(self, items: Sequence[Item]) -> list[Outcome]:
        """Store and announce. Returns what came of each item; items of one channel stay in order.

        After a failure nothing more is stored of what lies in the same place, so that the order holds.
        """
        states = [self._names.state(item.channel) for item in items]
        waiting: dict[Hashable, list[int]] = {}
        for index, state in enumerate(states):
            waiting.setdefault(self._client.servers.find_place(state), []).append(index)
        outcomes: dict[int, Outcome] = {}
        while waiting:
            parts = [indices[:AT_ONCE] for indices in waiting.values()]
            calls = [self._build_call([(states[index], items[index]) for index in part]) for part in parts]
            places = list(waiting)
            for place, part, reply in zip(
                places, parts, await self._client.run_each(scripts.PUBLISH, calls), strict=True
            ):
                outcomes |= zip(part, self._read_outcomes(states[part[0]], reply, len(part)), strict=True)
                rest = waiting.pop(place)[AT_ONCE:]
                if isinstance(reply, BrokerError):
                    outcomes |= dict.fromkeys(rest, Unavailable(f"not tried, after an error: {reply}"))
                elif rest:
                    waiting[place] = rest
        return [outcomes[index] for index in range(len(items))]

    def _build_call(self, items: Sequence[tuple[str, Item]]) -> ScriptCall:
        """Return keys and arguments with which the script stores items of one place."""
        keys: list[str] = []
        arguments: list[Value] = [*self._client.servers.get_announcing(items[0][0]), new_epoch(), STATE_LIFE, self.age]
        for state, item in items:
            channel, size, ttl = state.removesuffix("state"), *item.retention
            keys += (state, f"{channel}log", f"{channel}key:{item.key}" if item.key else state)
            kept = size if item.retention.keeps else 0
            rare = _spell_rare(item) if item.version is not None or item.flags else item.exclude
            arguments += (item.data, item.info, item.tags, kept, ttl, self._window if item.key else 0, rare)
        return keys, arguments

    def _read_outcomes(self, state: str, reply: Any, count: int) -> list[Outcome]:
        """Read what the script answers for so many items."""
        if isinstance(reply, BrokerError):
            return [_translate_failure(reply)] * count
        ack = self._client.servers.get_ack(state)
        outcomes: list[Outcome] = []
        for start in range(0, 3 * count, 3):
            if reply[start] is None:
                outcomes.append(_translate_failure(ErrorReply(reply[start + 1].decode("utf-8", "replace"))))
            else:
                position = read_position(*reply[start : start + 3])
                outcomes.append(Stored(*position, ack if position.offset else "memory"))
        return outcomes

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> Read:
        """Read what follows a position. `found` is false where it cannot be given without a gap."""
        epoch, offset, tag = position
        read = await self._read(channel, size, "since", epoch, offset, tag, -1 if limit is None else limit)
        if not read.found:
            return read
        ahead = read.top.offset - offset
        wanted = ahead if limit is None else min(ahead, max(limit, 1))
        offsets = [publication.offset for publication in read.publications]
        if read.full:
            wanted = min(wanted, max(len(offsets), 1))
        whole = read.complete and offsets == list(range(offset + 1, offset + 1 + wanted))
        return read._replace(found=whole)

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> Read:
        """Read up to `limit` kept publications after `offset`, before it when `reverse`."""
        return await self._read(channel, size, "page", -1 if offset is None else offset, limit, int(reverse))

    async def _read(self, channel: str, size: int | None, how: str, *arguments: Value) -> Read:
        keys = [self._names.state(channel), self._names.log(channel)]
        room = -1 if size is None else size
        reply = await self._client.run_script(
            scripts.READ, keys, [new_epoch(), STATE_LIFE, self.age, room, how, *arguments]
        )
        epoch, offset, tag, found, entries, full = reply
        publications = []
        for entry in entries:
            try:
                publications.append(read_entry(entry))
            except Garbage as error:
                self._client.skip_garbage(error, channel)
        top = read_position(epoch, offset, tag)
        return Read(top, bool(found), publications, len(publications) == len(entries), bool(full))

    async def read_positions(self, channels: Sequence[str]) -> list[Position | BrokerError | None]:
        """Return where streams stand, None where Redis knows of none, an error where it could not be asked."""
        states = [self._names.state(channel) for channel in channels]
        replies = await self._client.execute(
            [RedisCommand(state, ("HMGET", state, "epoch", "offset", "tag")) for state in states]
        )
        return [reply if isinstance(reply, BrokerError) else _read_position(reply) for reply in replies]

    async def forget(self, channel: str, seen: Position) -> bool:
        """Put a stream that lost what was seen into a new epoch. Returns whether it had."""
        keys = [self._names.state(channel), self._names.log(channel)]
        return bool(
            await self._client.run_script(scripts.FORGET, keys, [seen.epoch, seen.offset, seen.tag, new_epoch()])
        )

    async def remove_history(self, channel: str) -> None:
        """Drop what is kept; the position stays."""
        log_name = self._names.log(channel)
        await self._client.execute_one(RedisCommand(log_name, ("XTRIM", log_name, "MAXLEN", 0)))


def _spell_rare(item: Item) -> str:
    """Return what few items have, as `publish.lua` reads it."""
    number, epoch = item.version or ("", "")
    flags = f";{item.flags}" if item.flags else ""
    return f"{item.exclude} {number}{flags} {epoch}"


def to_history(read: Read, channel: str, position: Position) -> HistoryPart:
    """Return what was read after a position.

    Raises:
        Unrecoverable: it cannot be given without a gap.
    """
    if not read.found:
        raise Unrecoverable(
            f"offset {position.offset} of epoch {position.epoch!r} is not in the history of {channel!r}"
        )
    return HistoryPart(read.publications, read.top)


def read_age(reply: Any) -> int:
    """Return the age that Redis has; 0 where it has none, or what nobody of us has written."""
    return int(reply) if isinstance(reply, bytes) and reply.isdigit() else 0


def _read_position(reply: list[Any]) -> Position | None:
    return None if None in reply else read_position(*reply)


def unwrap_outcomes(outcomes: Sequence[Outcome]) -> list[Stored]:
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


def _translate_failure(error: BrokerError) -> BrokerError:
    """Return what a failed publish is to its caller: a script that is refused for want of room has stored nothing."""
    if isinstance(error, ErrorReply) and error.word in NO_ROOM:
        return NoRoom(f"Redis takes no writes: {error.text}")
    return error
