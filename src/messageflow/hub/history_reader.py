"""Reads of what subscribers missed, of channels that are live here: those who want the same at one moment share one.

After a restart thousands of sessions come back to a channel from one position; the broker is asked once. A read is
shared within one life of a channel on this worker only: what was published before the worker subscribed again would
be missing from an older one.

Those who catch up from one place one after the other share what the first was sent, encoded, for a moment
(`ChunkCache`).

Owns these reads while they are under way, and those chunks; keeps nothing else of what reads gave. Never a client's
page of history (`hub.commands.read`): that is of any channel, live here or not, and paced instead of shared; nor what
was revoked (`hub.revocation_list`). Both ask the broker themselves.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import NamedTuple

from messageflow.brokers.base import HistoryPart, StreamStore
from messageflow.brokers.eager import resume
from messageflow.core.backoff import Backoff
from messageflow.core.stream import Position
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.hub.channel import Channel
from messageflow.hub.runtime import Runtime
from messageflow.hub.transport import Encoding

ATTEMPTS = 50
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0  # seconds before the second attempt, and at most; all take about a minute

CHUNKS_BYTES = 8 << 20  # of chunks that are kept for a moment

Wanted = tuple[Channel, Position | None, int]  # no position: only where the stream stands
Place = tuple[Channel, Position, Encoding]


class Chunk(NamedTuple):
    """What a session that catches up is sent at once, as it is written.

    Args:
        data: that.
        end: where the session stands then.
        excludes: the ids of the clients that something in it is not for.
    """

    data: bytes
    end: Position
    excludes: frozenset[str] = frozenset()


class ChunkCache:
    """The chunks of this moment by where they begin, `CHUNKS_BYTES` of them at most. `clear` is called at every tick.

    What follows a position in an epoch is always the same, so that a chunk holds for everybody who stands there and is
    excluded from nothing in it.
    """

    def __init__(self) -> None:
        self._chunks: dict[Place, Chunk] = {}
        self._room = CHUNKS_BYTES

    def get(self, place: Place) -> Chunk | None:
        """Return what is sent to who stands at a place, if somebody stood there a moment ago."""
        return self._chunks.get(place)

    def put(self, place: Place, chunk: Chunk) -> None:
        """Keep a chunk; an empty one says nothing about later."""
        if chunk.data and len(chunk.data) <= self._room and place not in self._chunks:
            self._room -= len(chunk.data)
            self._chunks[place] = chunk

    def clear(self) -> None:
        """Forget all."""
        self._chunks.clear()
        self._room = CHUNKS_BYTES


class HistoryReader:
    """What one hub reads.

    Args:
        runtime: limits and log.
        broker: is asked.

    Attributes:
        chunks: what was read a moment ago, as it was written.
    """

    def __init__(self, runtime: Runtime, broker: StreamStore) -> None:
        self._runtime = runtime
        self._broker = broker
        self.chunks = ChunkCache()
        self._under_way: dict[Wanted, asyncio.Future[HistoryPart | BrokerError | None]] = {}

    async def read_position(self, channel: Channel) -> HistoryPart:
        """Return where the stream of a channel stands.

        Raises:
            BrokerError: the broker failed.
        """
        return await self._share((channel, None, 0))

    async def read_since(self, channel: Channel, position: Position, limit: int) -> HistoryPart:
        """Return what was published after `position`, at most `limit` of it and a chunk of bytes.

        It is as it was when the read began or later.

        Cancelling it takes nothing from those who share it.

        Raises:
            Unrecoverable: it cannot be given without a gap.
            BrokerError: the broker failed.
        """
        return await self._share((channel, position, limit))

    async def read_patiently(self, channel: Channel, position: Position, limit: int) -> HistoryPart:
        """As `read_since`, but a broker that fails, as it may be away, is asked again: `ATTEMPTS` times in all."""
        backoff = Backoff(FIRST_DELAY, LONGEST_DELAY, random.random)
        for _ in range(ATTEMPTS - 1):
            try:
                return await self.read_since(channel, position, limit)
            except Unrecoverable:
                raise
            except BrokerError as error:
                self._runtime.log_limited(logging.WARNING, "read_failed", channel=channel.name, error=str(error))
            await asyncio.sleep(backoff.fail())
        return await self.read_since(channel, position, limit)

    async def read_newest(self, channel: Channel) -> HistoryPart:
        """Return the newest publication alone.

        Raises:
            BrokerError: the broker failed.
        """
        return await self._broker.read_page(channel.name, None, 1, reverse=True)

    async def _share(self, wanted: Wanted) -> HistoryPart:
        outcome: HistoryPart | BrokerError | None = None
        while (read := self._under_way.get(wanted)) is not None:
            self._runtime.counters.reads_shared += 1
            outcome = await asyncio.shield(read)
            if outcome is not None:
                break
        else:
            outcome = await self._lead(wanted)
        if isinstance(outcome, BrokerError):
            raise outcome
        return outcome

    async def _lead(self, wanted: Wanted) -> HistoryPart | BrokerError:
        """Read for oneself and for those who come meanwhile. When it is cancelled, one of them reads again.

        Not a task of its own: that would cost every session that comes alone 20 µs (benchmarks: connect).
        """
        reading = self._read(wanted)
        try:
            awaited = reading.send(None)
        except StopIteration as done:
            found: HistoryPart | BrokerError = done.value
            return found  # in one step, as from memory: nobody could come meanwhile
        read = self._under_way[wanted] = asyncio.get_running_loop().create_future()
        outcome: HistoryPart | BrokerError | None = None
        try:
            outcome = await resume(reading, awaited)
        finally:
            del self._under_way[wanted]
            read.set_result(outcome)
        return outcome

    async def _read(self, wanted: Wanted) -> HistoryPart | BrokerError:
        channel, position, limit = wanted
        broker = self._broker
        try:
            if position is None:
                return await broker.read_page(channel.name)
            return await broker.read_since(channel.name, position, limit, self._runtime.limits.history.chunk_bytes)
        except BrokerError as error:
            return error
