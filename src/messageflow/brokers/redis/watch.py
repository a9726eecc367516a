"""Whether this node hears what Redis announces: a canary through Pub/Sub, and positions compared now and then.

Each is a task of the broker's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from messageflow.brokers.base import Sink
from messageflow.brokers.redis.link import Link
from messageflow.brokers.redis.messages import Garbage, read_position
from messageflow.brokers.redis.names import Names
from messageflow.core.stream import Position
from messageflow.errors import BrokerError, Unrecoverable

log = logging.getLogger("messageflow.broker")

CANARY = b"canary"
CANARY_EVERY, DEAF_AFTER = 2.0, 8.0  # seconds
CHECK_EVERY = 5.0  # seconds
CHECK_SLICE = 512  # positions asked for at once


class Canary:
    """A message that has to come back.

    Args:
        asking: the connection on which it is announced.
        hearing: the connection on which it should come.
        name: under which it is announced.
    """

    def __init__(self, asking: Link, hearing: Link, name: str) -> None:
        self._asking = asking
        self._hearing = hearing
        self._name = name
        self._heard = time.monotonic()

    @property
    def is_late(self) -> bool:
        """Whether it has not come back for so long that this node must be deaf."""
        return time.monotonic() - self._heard > DEAF_AFTER

    def came_back(self) -> None:
        """It was heard."""
        self._heard = time.monotonic()

    async def run(self) -> None:
        """Send it until cancelled; a connection on which it does not come is made anew."""
        while True:
            try:
                await self._asking.ask("PUBLISH", self._name, CANARY)
            except BrokerError as error:
                log.warning("canary_not_sent", extra={"error": str(error)})
            await asyncio.sleep(CANARY_EVERY)
            if self.is_late and self._hearing.is_up:
                log.error("deaf")
                await self._hearing.restart()


class Positions:
    """Where this node has seen its channels stand, against where Redis says they do.

    Args:
        asking: to Redis.
        names: of everything.
        seen: the subscribed channels, with the position of what was delivered last, if anything was.
        sink: told when a difference lasts.
        compare: finds out a stream that lost its end; raises Unrecoverable then.
    """

    def __init__(
        self,
        asking: Link,
        names: Names,
        seen: Mapping[str, Position | None],
        sink: Sink,
        compare: Callable[[str, Position], Awaitable[None]],
    ) -> None:
        self._asking = asking
        self._names = names
        self._seen = seen
        self._sink = sink
        self._compare = compare

    async def run(self) -> None:
        """Compare until cancelled. A difference that is still there the next time is a doubt."""
        before: dict[str, Position] = {}
        while True:
            await asyncio.sleep(CHECK_EVERY)
            try:
                different = await self._different()
            except (BrokerError, Garbage) as error:
                log.warning("positions_not_checked", extra={"error": str(error)})
                continue
            if any(different.get(channel) == seen for channel, seen in before.items()):
                self._sink.on_doubt()
            before = different

    async def _different(self) -> dict[str, Position]:
        """Return the channels that Redis has elsewhere, with where they were seen."""
        known = [(channel, seen) for channel, seen in self._seen.items() if seen is not None]
        different = {}
        for start in range(0, len(known), CHECK_SLICE):
            part = known[start : start + CHECK_SLICE]
            ask, state = self._asking.ask, self._names.state
            replies = await asyncio.gather(*(ask("HMGET", state(name), "epoch", "offset", "tag") for name, _ in part))
            for (channel, seen), reply in zip(part, replies, strict=True):
                if None in reply:
                    different[channel] = seen
                    continue
                position = read_position(*reply)
                if position != self._seen.get(channel):
                    different[channel] = seen
                try:
                    await self._compare(channel, position)
                except Unrecoverable:
                    self._sink.on_doubt()
        return different
