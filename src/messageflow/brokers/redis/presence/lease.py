"""This node's place among those that share a Redis: it says that it lives, every few seconds, and nothing else.

What follows from the deaths of others is `local_presence`'s to do, which may take long; a lease must not wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from messageflow.brokers.redis.presence.presence_store import RedisPresenceStore
from messageflow.brokers.redis.tasks import wait_at_most
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")

LEASE = 20.0  # seconds a node is believed after its last sign of life
RENEW_EVERY = 5.0


class Lease:
    """The lease of one node.

    Args:
        store: where all nodes meet.
        node: this node's name, without spaces, unique among all that ever were.
        rules: what is left for those who publish without a gateway; nothing when empty.
        on_lost: called when Redis did not know this node any more.

    Attributes:
        lapsed: it was over before it was renewed, and nobody has looked yet what others made of that.
    """

    def __init__(self, store: RedisPresenceStore, node: str, rules: bytes, on_lost: Callable[[], None]) -> None:
        self._store = store
        self._node = node
        self._rules = rules
        self._on_lost = on_lost
        self._soon = asyncio.Event()
        self._renewed = 0.0  # on the monotonic clock
        self.lapsed = False
        self._well_since = time.monotonic()

    @property
    def well_for(self) -> float:
        """Seconds in which no renewal has failed.

        Where Redis was away, all leases are over when it is back, and those who live need time to say so.
        """
        return time.monotonic() - self._well_since

    @property
    def may_be_over(self) -> bool:
        """Whether others may take this node for dead, or have done it, without its knowing."""
        return self.lapsed or time.monotonic() - self._renewed > LEASE

    async def renew(self) -> None:
        """Say that this node lives."""
        now = time.monotonic()
        if now - self._renewed > 2 * RENEW_EVERY:
            self._well_since = now
        found = await self._store.renew(self._node, LEASE)
        is_first, self._renewed = self._renewed == 0.0, now
        if not (found.good or is_first):
            self.lapsed = True
            self._on_lost()
        if self._rules:
            await self._store.publish_rules(self._rules)

    def renew_soon(self) -> None:
        """Redis may have lost it."""
        self._soon.set()

    async def count(self) -> int:
        """Return how many nodes live, this one among them even where Redis has just forgotten it."""
        return len((await self._store.list_nodes()).live | {self._node})

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            await wait_at_most(self._soon, RENEW_EVERY)
            try:
                await self.renew()
            except BrokerError as error:
                log.warning("lease_not_renewed", extra={"error": str(error)})
