"""What every broker within one process does beside storing: subscriptions, presence, control.

A backend that keeps its streams in this process derives from `LocalBroker` and says how it publishes and reads.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from messageflow.brokers.base import HistoryPart, Later, Sink, Stored
from messageflow.brokers.eager import NOTHING_TO_WAIT_FOR, Done
from messageflow.core.client_info import ClientInfo
from messageflow.core.idempotency import IdempotencyWindow
from messageflow.core.presence import Presence, PresenceCounts
from messageflow.core.protocol import Joined, Left
from messageflow.core.reservations import Reservation, ReservationTable
from messageflow.core.stream import Item, Position, Publication
from messageflow.core.stream_table import StreamTable
from messageflow.errors import BrokerError

NODE = "self"  # the node of the process itself, which never outlives its presence entries
SWEEP_EVERY = 1.0  # seconds
RESERVATIONS = 100_000  # remembered at most: about 40 MB


def new_epoch() -> str:
    """Return a name no other epoch has: 64 random bits, short because every client keeps it."""
    return secrets.token_urlsafe(8)


class LocalBroker(ABC):
    """The part of `brokers.base.Broker` that needs no store. It owns one task, which sweeps once a second.

    Args:
        streams: the streams in memory.
        idempotency_window: seconds for which a repeated key is recognised.
        idempotency_keys: how many keys are remembered at most.
        clock: seconds, never going back; the streams' times are on it.
    """

    def __init__(
        self,
        streams: StreamTable,
        *,
        idempotency_window: float,
        idempotency_keys: int,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._streams = streams
        self._stored: IdempotencyWindow[Stored] = IdempotencyWindow(ttl=idempotency_window, size=idempotency_keys)
        self._reservations = ReservationTable(ttl=idempotency_window, size=RESERVATIONS, since=clock())
        self._presence = Presence()
        self._subscribed: dict[str, None] = {}  # a set takes twice the memory of a dict (benchmarks: memory)
        self._sink: Sink | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, sink: Sink) -> None:
        self._sink = sink
        self._reservations.since = self._clock()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="broker-sweep")

    async def close(self) -> None:
        self._sink = None
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
            self._sweeper = None

    @property
    def may_be_dead(self) -> bool:
        return False

    @property
    def trouble(self) -> str:
        return ""

    @abstractmethod
    async def publish(self, items: Sequence[Item]) -> list[Stored]: ...

    @abstractmethod
    def publish_now(self, item: Item, later: Later) -> Stored | None: ...

    @abstractmethod
    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart: ...

    @abstractmethod
    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart: ...

    @abstractmethod
    async def remove_history(self, channel: str) -> None: ...

    def subscribe(self, channel: str) -> Coroutine[Any, Any, Position | None]:
        self._subscribed[channel] = None
        return Done(self._streams.position(channel))

    def subscribe_now(self, channel: str) -> Position:
        """Deliver a channel from now on, see `Delivery.subscribe`; here that takes no time."""
        self._subscribed[channel] = None
        return self._streams.position(channel)

    def unsubscribe(self, channel: str) -> None:
        self._subscribed.pop(channel, None)

    def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> Coroutine[Any, Any, None]:
        self.enter(NODE, channel, info, keep=keep, tell=tell)
        return NOTHING_TO_WAIT_FOR

    def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> Coroutine[Any, Any, None]:
        self.exit(channel, info, tell=tell)
        return NOTHING_TO_WAIT_FOR

    def enter(self, node: str, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        """A connection of `node` comes to a channel, see `PresenceStore.join`."""
        if keep:
            self._presence.add(channel, info, node)
        if tell:
            self._announce(channel, Joined(info))

    def exit(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        """A connection leaves a channel, see `PresenceStore.leave`."""
        self._presence.remove(channel, info.client)
        if tell:
            self._announce(channel, Left(info))

    def forget_node(self, node: str) -> None:
        """Take everybody of a node that is gone out of presence, and tell who watches. What it reserved is unknown."""
        self._reservations.forget_node(node)
        for channel, info in self._presence.remove_node(node):
            self._announce(channel, Left(info))

    async def read_presence(self, channel: str) -> dict[str, ClientInfo]:
        return self._presence.clients(channel)

    async def count_presence(self, channel: str) -> PresenceCounts:
        return self._presence.stats(channel)

    async def find_occupied(self, channels: Sequence[str]) -> set[str]:
        return {channel for channel in channels if self._presence.clients(channel)}

    async def reserve(self, user: str, key: str, age: float | None = None) -> Reservation:
        return self.reserve_now(NODE, user, key, age)

    def reserve_now(self, node: str, user: str, key: str, age: float | None) -> Reservation:
        """Reserve a key for `node`, see `ReservationStore.reserve`."""
        self._require_sink()
        return self._reservations.take(node, user, key, age, self._clock())

    async def settle(self, user: str, key: str, outcome: bytes | None) -> None:
        self.settle_now(user, key, outcome)

    def settle_now(self, user: str, key: str, outcome: bytes | None) -> None:
        """What was reserved has ended, see `ReservationStore.settle`."""
        self._reservations.settle(user, key, outcome, self._clock())

    async def send_control(self, message: bytes) -> None:
        if self._sink is not None:
            self._sink.on_control(message)

    async def survey(self, question: bytes) -> list[bytes]:
        return [self._require_sink().on_question(question)]

    def statistics(self) -> dict[str, float]:
        return {
            "streams": len(self._streams),
            "stream_bytes": self._streams.cost,
            "publications_evicted": self._streams.evicted,
            "streams_forgotten": self._streams.forgotten,
            "reservations": len(self._reservations),
            "reservations_evicted": self._reservations.evicted,
            "idempotency_keys": len(self._stored),
            "idempotency_keys_evicted": self._stored.evicted,
        }

    def _require_sink(self) -> Sink:
        """Return the sink.

        Raises:
            BrokerError: the broker was not started, or was closed.
        """
        if self._sink is None:
            raise BrokerError("the broker is not running")
        return self._sink

    def _deliver(self, channel: str, epoch: str, publication: Publication) -> None:
        if self._sink is not None and channel in self._subscribed:
            self._sink.on_publication(channel, epoch, publication)

    def _announce(self, channel: str, push: Joined | Left) -> None:
        if self._sink is not None and channel in self._subscribed:
            self._sink.on_presence(channel, push)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            self._enforce_limits(self._clock())

    def _enforce_limits(self, now: float) -> None:
        """Drop what is too old. Called once a second."""
        self._streams.sweep(now)
        self._reservations.sweep(now)
