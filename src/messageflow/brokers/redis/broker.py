"""The broker over Redis or Valkey: streams in Redis Streams, announcements over Pub/Sub, any number of nodes.

One script stores, numbers and announces a publication in one step, so all nodes see one order. Pub/Sub promises
nothing; whenever something may have been missed, on a lost connection or in a quiet spell, positions are compared with
Redis and the hub heals from history. A stream that stands below where this node has seen it lost its end, as after a
failover: it is put into a new epoch before anybody can take its reused offsets for the old ones.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError

from messageflow.brokers.base import Ack, History, Item, Sink, Stored
from messageflow.brokers.local import new_epoch
from messageflow.brokers.redis import scripts
from messageflow.brokers.redis.inspection import inspect
from messageflow.brokers.redis.link import Link, Refused, Value
from messageflow.brokers.redis.messages import (
    PUBLISHED,
    Garbage,
    read_entry,
    read_position,
    read_published,
    read_told,
    told,
)
from messageflow.brokers.redis.names import Names
from messageflow.brokers.redis.nodes import Nodes
from messageflow.brokers.redis.surveys import Surveys
from messageflow.brokers.redis.urls import Make
from messageflow.brokers.redis.watch import CANARY, Canary, Positions
from messageflow.core.presence import PresenceStats
from messageflow.core.protocol import ClientInfo, Joined, Left
from messageflow.core.stream import Position
from messageflow.errors import BrokerError, NoRoom, Unrecoverable

log = logging.getLogger("messageflow.broker")

STATE_LIFE = 30 * 86_400  # seconds for which the position of a channel in which nothing happens is remembered
NO_WRITES = ("MISCONF", "NOREPLICAS")  # it cannot save, or has too few replicas
SUBSCRIBE_AT_ONCE = 512  # channels in one command


class RedisBroker:
    """The contract of `brokers.base.Broker` over one Redis.

    Args:
        make: returns a connection to it that is yet to be made.
        node: this node's name, without spaces, unique among all that ever were.
        prefix: sets apart what belongs to one gateway.
        idempotency_window: seconds for which a repeated key is recognised.
        deadline: seconds a reply may take.
    """

    def __init__(
        self,
        make: Make,
        node: str,
        *,
        prefix: str = "messageflow",
        idempotency_window: float = 600.0,
        deadline: float = 5.0,
    ) -> None:
        self._make = make
        self._node = node
        self._names = Names(prefix)
        self.ack: Ack = "memory"  # until Redis has said how it is run
        self._window = int(idempotency_window * 1000)
        self._deadline = deadline
        self._sink: Sink | None = None
        self._subscribed: dict[str, Position | None] = {}  # with where this node has seen it stand
        self._confirming: dict[str, deque[asyncio.Future[None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._garbage = 0
        self._lost_tails = 0

    # Life

    async def start(self, sink: Sink) -> None:
        """Connect and deliver to `sink` from now on.

        Raises:
            BrokerError: Redis cannot be reached, or refuses.
        """

        def pause(longest: float) -> float:
            return random.uniform(longest / 2, longest)

        self._asking = Link(self._make, deadline=self._deadline, pause=pause, on_connected=self._load_scripts)
        self._hearing = Link(
            self._make,
            deadline=self._deadline,
            pause=pause,
            on_connected=self._subscribe_again,
            on_message=self._message,
        )
        self._nodes = Nodes(self._asking, self._names, self._node, self._left)
        self._surveys = Surveys(self._asking, self._names, self._node, self._nodes.count)
        self._sink = sink
        self._canary = Canary(self._asking, self._hearing, self._surveys.own)
        self._positions = Positions(self._asking, self._names, self._subscribed, sink, self._compare)
        await self._asking.start()
        await self._inspect()
        await self._hearing.start()
        await self._nodes.renew()
        await self._confirm(self._surveys.own)
        await self._confirm(self._names.control)
        work: list[Coroutine[Any, Any, None]] = [self._nodes.run(), self._positions.run(), self._canary.run()]
        self._tasks = [asyncio.get_running_loop().create_task(each) for each in work]

    async def close(self) -> None:
        if self._sink is None:
            return
        self._sink = None
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        try:
            await self._nodes.leave()
        except BrokerError as error:
            log.warning("leave_failed", extra={"error": str(error)})
        await self._hearing.close()
        await self._asking.close()

    @property
    def trouble(self) -> str:
        if not (self._asking.is_up and self._hearing.is_up):
            return "Redis cannot be reached"
        return "what is announced in Redis does not arrive" if self._canary.is_late else ""

    async def _inspect(self) -> None:
        """Find out what an acknowledgement means here, and refuse a Redis that cannot do what is needed."""
        found = await inspect(self._asking.ask)
        self.ack = found.ack
        for advice in found.advice:
            log.warning("redis_advice", extra={"server": found.server, "advice": advice})
        if found.hindrances:
            await self._asking.close()
            raise BrokerError(f"this Redis cannot be used: {'; '.join(found.hindrances)}")

    def _load_scripts(self) -> None:
        for script in scripts.ALL:
            self._asking.expect("SCRIPT", "LOAD", script.text)

    async def _run(self, script: scripts.Script, keys: Sequence[str], *arguments: Value) -> Any:
        try:
            return await self._asking.ask("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except Refused as error:
            if isinstance(error.error, NoScriptError):  # somebody flushed them
                return await self._asking.ask("EVAL", script.text, len(keys), *keys, *arguments)
            raise

    # Publishing

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        outcomes = await asyncio.gather(*(self._publish(item) for item in items), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Stored)]

    async def _publish(self, item: Item) -> Stored:
        names, (size, ttl) = self._names, item.retention
        keeps, channel = item.retention.keeps, item.channel
        state = names.state(channel)
        keys = (state, names.log(channel), names.key(channel, item.key) if item.key else state)
        try:
            reply = await self._run(
                scripts.PUBLISH,
                keys,
                item.data,
                item.info,
                item.tags,
                size if keeps else 0,
                ttl,
                self._window if item.key else 0,
                names.live(channel),
                new_epoch(),
                max(STATE_LIFE, int(ttl)),
                "PUBLISH",
            )
        except Refused as error:
            if isinstance(error.error, ReadOnlyError):
                await self._look_for_the_primary()
            if isinstance(error.error, OutOfMemoryError | ReadOnlyError) or str(error.error).startswith(NO_WRITES):
                raise NoRoom(f"Redis takes no writes: {error.error}") from error
            raise
        position = read_position(*reply)
        return Stored(position, self.ack if position.offset else "memory")

    async def _look_for_the_primary(self) -> None:
        """What was the primary is a replica now: make the connections anew, to where the primary is."""
        log.warning("redis_is_a_replica_now")
        await self._asking.restart()
        await self._hearing.restart()

    # Reading

    async def since(self, channel: str, position: Position, limit: int | None = None) -> History:
        epoch, offset, tag = position
        most = -1 if limit is None else limit
        top, found, entries = await self._read(channel, "since", epoch, offset, tag, most)
        if not found:
            raise Unrecoverable(f"offset {offset} of epoch {epoch!r} is not in the history")
        publications = []
        for number, entry in enumerate(entries, offset + 1):
            try:
                publication = read_entry(entry)
            except Garbage as error:
                self._skip(error, channel)
                break
            if publication.offset != number:
                break
            publications.append(publication)
        complete = min(top.offset - offset, len(entries)) if entries else 0
        if len(publications) < complete:
            raise Unrecoverable(f"the history of {channel!r} is not whole")
        return History(publications, top)

    async def page(self, channel: str, offset: int | None = None, limit: int = 0, *, reverse: bool = False) -> History:
        top, _, entries = await self._read(channel, "page", -1 if offset is None else offset, limit, int(reverse))
        publications = []
        for entry in entries:
            try:
                publications.append(read_entry(entry))
            except Garbage as error:
                self._skip(error, channel)
        return History(publications, top)

    async def _read(self, channel: str, how: str, *arguments: Value) -> tuple[Position, bool, list[Any]]:
        """Return where a stream stands, whether what was asked can be had, and entries of its log."""
        keys = (self._names.state(channel), self._names.log(channel))
        epoch, offset, tag, found, entries = await self._run(
            scripts.READ, keys, new_epoch(), STATE_LIFE, how, *arguments
        )
        top = read_position(epoch, offset, tag)
        await self._compare(channel, top)
        return top, bool(found), entries

    async def _compare(self, channel: str, top: Position) -> None:
        """Find out a stream that lost its end: Redis stands below where this node has seen it, or elsewhere."""
        seen = self._subscribed.get(channel)
        if seen is None or seen.epoch != top.epoch:
            return
        if top.offset < seen.offset or (top.offset == seen.offset and top.tag != seen.tag):
            keys = (self._names.state(channel), self._names.log(channel))
            self._lost_tails += await self._run(scripts.FORGET, keys, top.epoch, new_epoch())
            self._subscribed[channel] = None
            log.error("lost_tail", extra={"channel": channel, "seen": seen.offset, "found": top.offset})
            raise Unrecoverable(f"the stream of {channel!r} lost its end")

    async def remove_history(self, channel: str) -> None:
        await self._asking.ask("DEL", self._names.log(channel))

    # Subscribing

    async def subscribe(self, channel: str) -> None:
        self._subscribed[channel] = None
        await self._confirm(self._names.live(channel))

    def unsubscribe(self, channel: str) -> None:
        if self._subscribed.pop(channel, self) is not self:
            self._hearing.send("UNSUBSCRIBE", self._names.live(channel))

    async def _confirm(self, name: str) -> None:
        """Subscribe to a name, and return once Redis has said so."""
        confirmed = asyncio.get_running_loop().create_future()
        self._confirming.setdefault(name, deque()).append(confirmed)
        self._hearing.send("SUBSCRIBE", name)
        try:
            async with asyncio.timeout(self._deadline):
                await confirmed
        except TimeoutError:
            raise BrokerError("Redis did not confirm a subscription in time") from None

    def _subscribe_again(self) -> None:
        """The hearing connection is there, for the first time or again."""
        names = [self._surveys.own, self._names.control, *map(self._names.live, self._subscribed)]
        if self._tasks:
            for start in range(0, len(names), SUBSCRIBE_AT_ONCE):
                self._hearing.send("SUBSCRIBE", *names[start : start + SUBSCRIBE_AT_ONCE])
            self._hearing.send("PING", "doubt")  # answered after all of them

    def _message(self, message: list[Any]) -> None:
        """Take what comes on the hearing connection."""
        try:
            kind = message[0]
            if kind == b"message":
                self._announced(message[1], message[2])
            elif kind == b"subscribe":
                self._confirmed(message[1].decode())
            elif kind == b"pong" and message[1] == b"doubt" and self._sink is not None:
                self._sink.on_doubt()
        except (Garbage, ValueError, IndexError) as error:
            self._skip(error, "")

    def _confirmed(self, name: str) -> None:
        waiting = self._confirming.get(name)
        if not waiting:
            return
        first = waiting.popleft()
        if not waiting:
            del self._confirming[name]
        if not first.done():
            first.set_result(None)

    def _announced(self, name: bytes, body: bytes) -> None:
        sink = self._sink
        if sink is None:
            return
        channel = self._names.channel_of(name)
        if channel is None:
            self._told(name, body)
        elif body[:1] == PUBLISHED:
            epoch, publication = read_published(body)
            if channel in self._subscribed and publication.offset:
                self._subscribed[channel] = Position(epoch, publication.offset, publication.tag)
            sink.on_publication(channel, epoch, publication)
        else:
            sink.on_presence(channel, read_told(body))

    def _told(self, name: bytes, body: bytes) -> None:
        if body == CANARY:
            self._canary.came_back()
        elif self._sink is not None and not self._surveys.take(name, body, self._sink):
            self._sink.on_control(body[1:])

    def _skip(self, error: Exception, channel: str) -> None:
        self._garbage += 1
        log.error("garbage_in_redis", extra={"channel": channel, "error": str(error)})

    # Presence, control, surveys

    async def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        if keep:
            await self._nodes.enter(channel, info)
        if tell:
            await self._asking.ask("PUBLISH", self._names.live(channel), told(Joined(info)))

    async def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        await self._nodes.exit(channel, info)
        if tell:
            await self._asking.ask("PUBLISH", self._names.live(channel), told(Left(info)))

    def _left(self, channel: str, push: Left) -> None:
        self._asking.expect("PUBLISH", self._names.live(channel), told(push))

    async def presence(self, channel: str) -> dict[str, ClientInfo]:
        return await self._nodes.clients(channel)

    async def presence_stats(self, channel: str) -> PresenceStats:
        return await self._nodes.stats(channel)

    async def control(self, message: bytes) -> None:
        await self._asking.ask("PUBLISH", self._names.control, b"C" + message)

    async def survey(self, question: bytes) -> list[bytes]:
        return await self._surveys.ask(question)

    def statistics(self) -> dict[str, float]:
        return {
            "redis_lost": self._asking.times_lost + self._hearing.times_lost,
            "garbage_skipped": self._garbage,
            "lost_tails": self._lost_tails,
        }
