"""The embedded broker in memory: one process, streams with limits, epochs and tags, idempotent publish.

What it keeps dies with the process, and its receipts say so (`memory`); the next life begins in a new epoch, so that
every reader who comes back learns that history was lost. It owns one task, which drops what is too old.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence

from messageflow.brokers.base import Ack, History, Item, Sink, Stored
from messageflow.core.idempotency import IdempotencyWindow
from messageflow.core.presence import Presence, PresenceStats
from messageflow.core.protocol import ClientInfo, Joined, Left
from messageflow.core.stream import Position, Publication
from messageflow.core.streams import Streams
from messageflow.errors import BrokerError, Unrecoverable

MIB = 1 << 20
NODE = "self"  # presence has one node here: the process itself, which never outlives its entries
SWEEP_EVERY = 1.0  # seconds


def new_epoch() -> str:
    """Return a name no other epoch has: 64 random bits, short because every client keeps it."""
    return secrets.token_urlsafe(8)


class MemoryBroker:
    """The contract of `brokers.base.Broker` within one process.

    Args:
        memory: bytes that kept publications may take.
        idempotency_window: seconds for which a repeated key is recognised.
        idempotency_keys: how many keys are remembered at most.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        memory: int = 256 * MIB,
        idempotency_window: float = 600.0,
        idempotency_keys: int = 200_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._streams = Streams(new_epoch, memory=memory)
        self._stored: IdempotencyWindow[Stored] = IdempotencyWindow(ttl=idempotency_window, size=idempotency_keys)
        self._presence = Presence(lease=float("inf"))
        self._presence.renew(NODE, clock())
        self._subscribed: set[str] = set()
        self._sink: Sink | None = None
        self._sweeper: asyncio.Task[None] | None = None

    ack: Ack = "memory"

    async def start(self, sink: Sink) -> None:
        self._sink = sink
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="memory-broker-sweep")

    async def close(self) -> None:
        self._sink = None
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
            self._sweeper = None

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        now = self._clock()
        return [self._publish(item, now) for item in items]

    def _publish(self, item: Item, now: float) -> Stored:
        if self._sink is None:
            raise BrokerError("the broker is not running")
        if item.key:
            before = self._stored.get(item.channel, item.key, now)
            if before is not None:
                return before
        channel, data, retention = item.channel, item.data, item.retention
        if retention.keeps:
            epoch, publication = self._streams.append(channel, data, retention, now, info=item.info, tags=item.tags)
        else:
            epoch, publication = "", Publication(0, "", now, data, item.info, item.tags)
        stored = Stored(Position(epoch, publication.offset, publication.tag), self.ack)
        if item.key:
            self._stored.put(channel, item.key, stored, now)
        if channel in self._subscribed:
            self._sink.on_publication(channel, epoch, publication)
        return stored

    async def subscribe(self, channel: str) -> None:
        self._subscribed.add(channel)

    def unsubscribe(self, channel: str) -> None:
        self._subscribed.discard(channel)

    async def since(self, channel: str, position: Position, limit: int | None = None) -> History:
        missed = self._streams.since(channel, position, self._clock(), limit)
        if missed is None:
            raise Unrecoverable(f"offset {position.offset} of epoch {position.epoch!r} is not in the history")
        return History(missed, self._streams.position(channel))

    async def page(self, channel: str, offset: int | None = None, limit: int = 0, *, reverse: bool = False) -> History:
        page = self._streams.page(channel, offset, limit, self._clock(), reverse=reverse) if limit else []
        return History(page, self._streams.position(channel))

    async def remove_history(self, channel: str) -> None:
        self._streams.remove(channel)

    async def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        if keep:
            self._presence.add(channel, info, NODE)
        if tell and self._sink is not None and channel in self._subscribed:
            self._sink.on_presence(channel, Joined(info))

    async def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        self._presence.remove(channel, info.client)
        if tell and self._sink is not None and channel in self._subscribed:
            self._sink.on_presence(channel, Left(info))

    async def presence(self, channel: str) -> dict[str, ClientInfo]:
        return self._presence.clients(channel, self._clock())

    async def presence_stats(self, channel: str) -> PresenceStats:
        return self._presence.stats(channel, self._clock())

    async def control(self, message: bytes) -> None:
        if self._sink is not None:
            self._sink.on_control(message)

    def statistics(self) -> dict[str, float]:
        return {
            "streams": len(self._streams),
            "stream_bytes": self._streams.cost,
            "publications_evicted": self._streams.evicted,
            "streams_forgotten": self._streams.forgotten,
            "idempotency_keys": len(self._stored),
            "idempotency_keys_evicted": self._stored.evicted,
        }

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            self._streams.sweep(self._clock())
