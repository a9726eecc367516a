"""The broker in memory: one process, streams with limits, epochs and tags, idempotent publish.

What it keeps dies with the process, and its receipts say so (`memory`); the next life begins in a new epoch, so that
every reader who comes back learns that history was lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from messageflow.brokers.base import Ack, HistoryPart, Later, Stored
from messageflow.brokers.broker_options import DEFAULTS
from messageflow.brokers.local import LocalBroker, new_epoch
from messageflow.core.stream import Item, Position, make_unnumbered
from messageflow.core.stream_table import StreamTable
from messageflow.core.weights import within
from messageflow.errors import Unrecoverable


class MemoryBroker(LocalBroker):
    """The contract of `brokers.base.Broker` within one process.

    Args:
        memory: bytes that kept publications may take.
        idempotency_window: seconds for which a repeated key is recognised.
        idempotency_keys: how many keys are remembered at most.
        clock: monotonic seconds.
    """

    ack: Ack = "memory"

    def __init__(
        self,
        *,
        memory: int = DEFAULTS.stream_memory,
        idempotency_window: float = DEFAULTS.idempotency_window,
        idempotency_keys: int = 200_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            StreamTable(new_epoch, memory=memory),
            idempotency_window=idempotency_window,
            idempotency_keys=idempotency_keys,
            clock=clock,
        )

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        self._require_sink()
        now = self._clock()
        return [self._publish(item, now) for item in items]

    def publish_now(self, item: Item, later: Later) -> Stored:
        """See `ImmediateStore.publish_now`: here nothing ever waits."""
        self._require_sink()
        return self._publish(item, self._clock())

    def _publish(self, item: Item, now: float) -> Stored:
        if item.key:
            before = self._stored.get(item.channel, item.key, now)
            if before is not None:
                return before
        channel, version = item.channel, item.version
        if item.retention.keeps:
            if version is not None and self._streams.is_outdated(channel, version):
                return Stored(*self._streams.position(channel), self.ack)
            epoch, publication = self._streams.append(item, now)
            if version is not None:
                self._streams.set_version(channel, version)
        else:
            epoch, publication = "", make_unnumbered(item, now)
        stored = Stored(epoch, publication.offset, publication.tag, self.ack)
        if item.key:
            self._stored.put(channel, item.key, stored, now)
        self._deliver(channel, epoch, publication)
        return stored

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        missed = self._streams.read_since(channel, position, self._clock(), limit)
        if missed is None:
            raise Unrecoverable(f"offset {position.offset} of epoch {position.epoch!r} is not in the history")
        return HistoryPart(within(missed, size), self._streams.position(channel))

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart:
        page = self._streams.read_page(channel, offset, limit, self._clock(), reverse=reverse) if limit else []
        return HistoryPart(within(page, size), self._streams.position(channel))

    async def remove_history(self, channel: str) -> None:
        self._streams.remove(channel)
