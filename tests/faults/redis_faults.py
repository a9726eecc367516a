"""What is done to the Redis of a run, and to the links to it. Each fault says how often it really happened.

Owns no process and no link; those are the engine's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from tests.faults.clients import until
from tests.faults.engine import Engine
from tests.faults.nemesis import SHOW_SECONDS, Fault, hold
from tests.faults.proxy import DOWN, UP, Direction, Faults, Proxy
from tests.faults.schedule import Planned

POLL = 0.1
NOBODY = ("127.0.0.1", 1)
"""An address at which no primary listens."""

SMALL_BUFFER = 1024
"""Bytes of announcements beyond what goes out at once, with which a subscriber is closed."""

GARBAGE: tuple[bytes, ...] = (
    b"",
    b"garbage",
    b"\xff\xfe\x00\x80",
    b"P",
    b"Pepoch 5 tag",
    b"Pepoch 99999999999999999999 tag 1 0 0\n{}",
    b"Pepoch 5 tag nan 7 7\n{",
    b"J{}",
    b"L[1,2]",
    b"C\xff",
    b"C{" + b"[" * 2000,
    b"Q1",
    b"Q1 nobody ",
    b"A",
    b"A1 ",
    b"\n",
)
"""What somebody else might publish where messageflow announces, near to what it writes itself."""

OF_ONE_PUBLICATION = b":key:"
"""In the name of a key that remembers one publication: there are many of these."""

FOREIGN = b"\xfffaults"
"""A field, a member or a key that only somebody else would write."""


class RedisFaults:
    """The faults of a run with Redis.

    Args:
        engine: what they are done to.

    Attributes:
        faults: by kind.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        faults: dict[str, Fault] = {
            "redis_kill": self._kill,
            "redis_freeze": self._freeze,
            "redis_flush": self._flush,
            "redis_client_kill": self._client_kill,
            "redis_out_of_memory": self._out_of_memory,
            "redis_read_only": self._read_only,
            "redis_buffer_overflow": self._buffer_overflow,
            "redis_garbage": self._garbage,
            "redis_script_flush": self._script_flush,
            "redis_failover_lost_tail": self._failover_lost_tail,
            "redis_link_cut": self._link_cut,
            "redis_link_blackhole": self._link_blackhole,
            "redis_link_latency": self._link_latency,
        }
        self.faults = {kind: engine.disturbing(fault) for kind, fault in faults.items()}

    # The server.

    async def _kill(self, planned: Planned, chance: random.Random) -> int:
        return int(await self._engine.restart(planned.seconds))

    async def _freeze(self, planned: Planned, chance: random.Random) -> int:
        return int(await self._engine.primary.freeze(planned.seconds))

    async def _flush(self, planned: Planned, chance: random.Random) -> int:
        """Everything is gone, as after a wrong command in a wrong terminal."""
        keys = int(await self._engine.primary.ask("DBSIZE"))
        await self._engine.primary.ask("FLUSHALL")
        return keys

    async def _client_kill(self, planned: Planned, chance: random.Random) -> int:
        kinds = chance.choice((["normal"], ["pubsub"], ["pubsub", "normal"]))
        killed = 0

        async def kill() -> int:
            nonlocal killed
            if not killed:
                killed = sum([int(await self._engine.primary.ask("CLIENT", "KILL", "TYPE", kind)) for kind in kinds])
            return killed

        return await _counted(kill, 0, planned.seconds)

    async def _out_of_memory(self, planned: Planned, chance: random.Random) -> int:
        return await self._configured("maxmemory", 1, 0, lambda: self._engine.primary.refused("OOM"), planned.seconds)

    async def _read_only(self, planned: Planned, chance: random.Random) -> int:
        """It takes no writes: as a replica whose primary is nowhere, or as a primary that has too few replicas."""
        primary = self._engine.primary
        if not self._engine.replicated and chance.random() < 0.5:
            return await self._configured(
                "min-replicas-to-write", 1, 0, lambda: primary.refused("NOREPLICAS"), planned.seconds
            )
        before = await primary.refused("READONLY")
        await primary.ask("REPLICAOF", *NOBODY)
        try:
            return await _counted(lambda: primary.refused("READONLY"), before, planned.seconds)
        finally:
            await primary.ask("REPLICAOF", "NO", "ONE")

    async def _buffer_overflow(self, planned: Planned, chance: random.Random) -> int:
        """A subscriber to whom more has to be said than fits is closed, which it learns from nothing else."""
        primary = self._engine.primary
        known: set[bytes] = set()
        gone = 0

        async def closed() -> int:
            nonlocal known, gone
            listed: bytes = await primary.ask("CLIENT", "LIST", "TYPE", "pubsub")
            now_there = {line.split()[0] for line in listed.splitlines()}
            gone += len(known - now_there)
            known = now_there
            return gone

        await closed()
        small, usual = f"pubsub {SMALL_BUFFER} 0 0", "pubsub 33554432 8388608 60"
        return await self._configured("client-output-buffer-limit", small, usual, closed, planned.seconds)

    async def _configured(
        self, name: str, bad: str | int, usual: str | int, count: Callable[[], Awaitable[int]], seconds: float
    ) -> int:
        primary = self._engine.primary
        before = await count()
        await primary.ask("CONFIG", "SET", name, bad)
        try:
            return await _counted(count, before, seconds)
        finally:
            await primary.ask("CONFIG", "SET", name, usual)

    async def _script_flush(self, planned: Planned, chance: random.Random) -> int:
        primary = self._engine.primary
        before = await primary.refused("NOSCRIPT")
        await primary.ask("SCRIPT", "FLUSH")
        return await _counted(lambda: primary.refused("NOSCRIPT"), before, planned.seconds)

    async def _failover_lost_tail(self, planned: Planned, chance: random.Random) -> int:
        return await self._engine.fail_over(planned.seconds)

    # Garbage.

    async def _garbage(self, planned: Planned, chance: random.Random) -> int:
        """Somebody publishes in our channels, writes into our keys and clears up what he damaged, as far as he can."""
        primary = self._engine.primary
        names = await primary.ask("PUBSUB", "CHANNELS", "messageflow*")
        for name in names:
            for message in GARBAGE:
                await primary.ask("PUBLISH", name, message)
        every = sorted(await primary.ask("KEYS", "messageflow*"))
        keys = [key for key in every if OF_ONE_PUBLICATION not in key]
        kinds = {key: await primary.ask("TYPE", key) for key in keys}
        damaged = chance.sample(keys, min(len(keys), 4))
        foreign = [key for key in keys if kinds[key] in (b"zset", b"set")] + damaged
        for key in foreign:
            await self._add(key, kinds[key])
        wrong = chance.choice(damaged + [key for key in every if OF_ONE_PUBLICATION in key][-1:])
        await primary.ask("SET", wrong, FOREIGN)
        try:
            await asyncio.sleep(planned.seconds)
        finally:
            for channel in {_of_one_channel(key) for key in [wrong, *damaged] if b"}" in key}:
                await self._clear(channel)
            for key in foreign:
                await self._take_out(key)
        return len(names) + len(foreign)

    async def _add(self, key: bytes, kind: bytes) -> None:
        primary = self._engine.primary
        with suppress(RedisError):  # it is gone, or another by now
            if kind == b"stream":
                await primary.ask("XADD", key, "*", FOREIGN, FOREIGN)
            elif kind == b"hash":
                await primary.ask("HSET", key, FOREIGN, FOREIGN)
            elif kind == b"set":
                await primary.ask("SADD", key, FOREIGN)
            elif kind == b"zset":
                await primary.ask("ZADD", key, 1, FOREIGN, 10**12, FOREIGN + b"-for-ever")

    async def _clear(self, pattern: bytes) -> None:
        """What cannot be taken out again goes with all of its channel."""
        primary = self._engine.primary
        if keys := await primary.ask("KEYS", pattern):
            await primary.ask("DEL", *keys)

    async def _take_out(self, key: bytes) -> None:
        primary = self._engine.primary
        kind = await primary.ask("TYPE", key)
        if kind == b"string":
            await primary.ask("DEL", key)
        elif kind == b"set":
            await primary.ask("SREM", key, FOREIGN)
        elif kind == b"zset":
            await primary.ask("ZREM", key, FOREIGN, FOREIGN + b"-for-ever")

    # The links to it.

    def _links(self, chance: random.Random) -> list[Proxy]:
        links = self._engine.links
        return chance.sample(links, chance.randint(1, len(links)))

    async def _link_cut(self, planned: Planned, chance: random.Random) -> int:
        links = self._links(chance)
        return await until(lambda: sum(link.cut() for link in links), SHOW_SECONDS)

    async def _link_blackhole(self, planned: Planned, chance: random.Random) -> int:
        """Nothing arrives any more: on the other side, here, or on both."""
        ways: Sequence[tuple[tuple[Direction, ...], str]]
        ways = (((UP, DOWN), "timeout"), ((UP,), "half_open_up"), ((DOWN,), "half_open_down"))
        directions, name = chance.choice(ways)
        return await hold(self._links(chance), Faults(discards=frozenset(directions)), name, planned.seconds)

    async def _link_latency(self, planned: Planned, chance: random.Random) -> int:
        faults = Faults(latency=chance.uniform(0.01, 0.2), jitter=chance.uniform(0, 0.2))
        return await hold(self._links(chance), faults, "latency", planned.seconds)


async def _counted(count: Callable[[], Awaitable[int]], before: int, seconds: float) -> int:
    """Return by how much a figure of the server grew in this time, or in a longer one if it did not."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        await asyncio.sleep(POLL)
        grown = await count() - before
        passed = loop.time() - began
        if passed > seconds and (grown or passed > seconds + SHOW_SECONDS):
            return grown


def _of_one_channel(key: bytes) -> bytes:
    """Return a pattern for all keys of the channel that a key belongs to."""
    return key.partition(b"}")[0] + b"}*"
