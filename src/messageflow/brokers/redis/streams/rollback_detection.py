"""The age of streams, by which a Redis that went back in time is found out though no gateway was watching.

Each start of a server, and each time it takes another's place, begins another *life* of it. While a gateway is there,
it compares what it knows with what Redis has when a new life begins (`position_monitor`). A gateway that starts and
finds a life of which no gateway has left word cannot know what is missing: unless this machine remembers enough to
prove that nothing is (`witness`), it begins a new *age*, and every stream of an earlier one goes on in a new epoch when
it is touched. What Redis loses of the age itself, each gateway brings back.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum

from messageflow.brokers.redis import scripts
from messageflow.brokers.redis.connections.command_client import CommandClient
from messageflow.brokers.redis.connections.resp import RedisCommand, Value
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.streams.stream_store import STATE_LIFE, RedisStreamStore, read_age
from messageflow.brokers.redis.streams.witness import Seen, Witness
from messageflow.core.backoff import Backoff
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 4.0  # seconds before Redis is inspected again after it could not be
LOOK_EVERY = 5.0  # seconds until a gateway has learned of an age that another began
LOOKS_A_LIFE = 12  # looks between two at the lives
BEAT_EVERY = 1.0  # seconds, while anything is seen


class LifeVerdict(StrEnum):
    """What a gateway knows of the lives it finds, in the words of `age.lua`."""

    WATCHED = "watched"
    EMPTIED = "emptied"
    PROVED = "proved"
    LOST = "lost"
    NEW = "new"


class Ages:
    """The age, as one node knows it.

    Args:
        client: asks the servers.
        names: of everything.
        node: this node's name.
        store: is told the age.
        witness: remembers beside Redis.
    """

    def __init__(
        self, client: CommandClient, names: Names, node: str, store: RedisStreamStore, witness: Witness
    ) -> None:
        self._client = client
        self._names = names
        self._node = node
        self._store = store
        self._witness = witness
        self._lives: list[str] = []

    async def begin(self, lives: Sequence[str]) -> None:
        """Come to where others may have been; whatever they left is judged, and a beat of this node takes its place.

        Raises:
            BrokerError: Redis does not answer; nothing has changed.
        """
        left = self._witness.open()
        try:
            await self._take_over(left, lives)
        except BaseException:
            self._witness.abandon()
            raise
        self._witness.discard_judged()

    async def _take_over(self, left: Sequence[Seen | None], lives: Sequence[str]) -> None:
        found = [await self._judge(seen) for seen in left]
        known = LifeVerdict.NEW
        if LifeVerdict.LOST in found:
            known = LifeVerdict.LOST
            log.error("redis_went_back_in_time", extra={"advice": "streams go on in new epochs, and clients are told"})
        elif found and LifeVerdict.NEW not in found and len(lives) == 1:  # a beat proves nothing of other servers
            known = LifeVerdict.PROVED
        await self._agree(lives, known)
        if self._witness.remembers:
            await self.beat()
        for name in [self._names.beat(seen.node) for seen in left if seen is not None]:
            await self._client.execute_one(RedisCommand(name, ("DEL", name)))

    async def _judge(self, seen: Seen | None) -> LifeVerdict:
        """Return what a process that ended has left to know."""
        if seen is None:
            return LifeVerdict.NEW
        if seen.beat:
            name = self._names.beat(seen.node)
            written: bytes | None = await self._client.execute_one(RedisCommand(name, ("GET", name)))
            if written is None or not written.isdigit() or int(written) < seen.beat:
                return LifeVerdict.LOST
        return LifeVerdict.PROVED if seen.all or (seen.durable and seen.beat) else LifeVerdict.NEW

    async def agree_again(self, lives: Iterable[str]) -> None:
        """Be there when Redis is back, in whatever life.

        Raises:
            BrokerError: Redis does not answer.
        """
        await self._agree(lives, LifeVerdict.WATCHED)

    async def _agree(self, lives: Iterable[str], known: LifeVerdict) -> None:
        self._lives = sorted(set(lives))
        arguments: list[Value] = [" ".join(self._lives), known, self._store.age]
        self._take(await self._client.run_script(scripts.AGE, [self._names.age], arguments))

    async def _look(self) -> None:
        """Learn of an age that another has begun, and bring it back where Redis has lost it."""
        age = await self._client.execute_one(RedisCommand(self._names.age, ("HGET", self._names.age, "age")))
        if age is None:  # it was deleted
            await self._agree(self._lives, LifeVerdict.EMPTIED)
        elif read_age(age) < self._store.age:
            await self.agree_again(self._lives)
        else:
            self._take(age)

    def _take(self, age: bytes) -> None:
        self._store.age = max(self._store.age, read_age(age))

    async def beat(self) -> None:
        """Make it known to Redis, and then here, how far it is.

        Raises:
            BrokerError: Redis does not answer.
        """
        witness, name = self._witness, self._names.beat(self._node)
        witness.stirred = False
        try:
            await self._client.execute_one(RedisCommand(name, ("SET", name, witness.beat + 1, "EX", STATE_LIFE)))
        except BrokerError:
            witness.stirred = True
            raise
        witness.beat += 1
        self._remember()

    def _remember(self, *, synced: bool = False) -> None:
        durable = self._client.servers.get_ack(self._names.age) == "disk"
        seen = Seen(self._node, self._witness.beat, not self._witness.stirred, durable)
        self._witness.write(seen if synced else Seen(seen.node, seen.beat, durable=durable), synced=synced)

    async def run_beats(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(BEAT_EVERY)
            if self._witness.stirred and self._witness.remembers:
                try:
                    await self.beat()
                except BrokerError as error:
                    log.debug("no_beat", extra={"error": str(error)})

    async def follow_lives(self, is_back: asyncio.Event, inspect: Callable[[], Awaitable[Iterable[str]]]) -> None:
        """Follow the lives of Redis, and what others find, until cancelled.

        Args:
            is_back: is set when Redis can be asked again.
            inspect: returns the lives of all servers.
        """
        looks = 0
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await is_back.wait()
            except TimeoutError:
                looks += 1
            due = is_back.is_set() or looks % LOOKS_A_LIFE == 0
            is_back.clear()
            try:
                if due:  # a first replica, too, begins another life, and no connection is lost for it
                    await self.agree_again(await inspect())
                else:
                    await self._look()
                backoff.reset()
            except BrokerError as error:
                log.warning("redis_not_inspected", extra={"error": str(error)})
                await asyncio.sleep(backoff.fail())
                is_back.set()

    async def close(self) -> None:
        """Leave word for the gateway that starts next."""
        if self._witness.remembers:
            try:
                await self.beat()
            except BrokerError as error:
                log.warning("no_beat", extra={"error": str(error)})
            self._remember(synced=True)
        self._witness.close()
