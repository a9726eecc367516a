"""This node among those that share a Redis: its lease, who is present through it, and those that died.

Each node renews its lease; whoever sees that another's has been over for long enough clears up what that one left
behind. Who is present through this node is kept here too, so that it can be entered again when Redis lost it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable

from messageflow.brokers.redis.store import PRESENT_LIFE, Store
from messageflow.core.protocol import ClientInfo, Left
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")

LEASE = 20.0  # seconds a node is believed after its last sign of life
RENEW_EVERY = 5.0
AT_ONCE = 500  # people or channels in one go
EVERY = 10_000_000  # more than there are

Tell = Callable[[str, Left], None]


class Nodes:
    """This node and the others.

    Args:
        store: where all of them meet.
        node: this node's name, without spaces, unique among all that ever were.
        rules: what is left for those who publish without a gateway; nothing when empty.
        tell: announces that somebody left a channel.
    """

    def __init__(self, store: Store, node: str, rules: bytes, tell: Tell) -> None:
        self._store = store
        self._node = node
        self._rules = rules
        self._tell = tell
        self._people: dict[str, dict[str, ClientInfo]] = {}  # by channel and client
        self._owed: dict[tuple[str, str], ClientInfo] = {}  # who left while Redis could not be told
        self._soon = asyncio.Event()
        self._renewed = 0.0  # when the lease was renewed last, on the monotonic clock
        self._well_since = time.monotonic()  # since when no renewal has failed
        self._in_order_until = 0.0  # when what Redis knows of this node's people has to be put in order again
        self._sift_at = math.inf  # when to look for people of nodes that nobody knows

    async def renew(self) -> None:
        """Say that this node lives, put its people in order if they were lost, and clear up after the dead."""
        now = time.monotonic()
        if now - self._renewed > 2 * RENEW_EVERY:
            self._well_since = now
        found = await self._store.nodes(self._node, LEASE)
        self._renewed = now
        if not found.good:
            self._in_order_until = now
        if self._rules:
            await self._store.publish_rules(self._rules)
        for (channel, client), info in list(self._owed.items()):
            await self._store.exit(self._node, channel, info)
            self._owed.pop((channel, client), None)
        if now >= self._in_order_until:
            self._in_order_until = now + PRESENT_LIFE / 4
            try:
                await self._put_in_order()
            except BrokerError:
                self._in_order_until = now
                raise
            self._sift_at = now + LEASE + RENEW_EVERY
        # Where Redis was away, all leases are over when it is back, and those who live need time to say so.
        if now - self._well_since > LEASE:
            for dead in found.dead:
                await self._clear(dead)
            if now > self._sift_at:
                await self._sift(found.live | found.dead)
                self._sift_at = math.inf

    def renew_soon(self) -> None:
        """Redis was away, and may know less than it did."""
        self._in_order_until = 0.0
        self._soon.set()

    async def _put_in_order(self) -> None:
        """Enter whom Redis has forgotten, and take out who left since what it remembers."""
        people = [(channel, info) for channel, infos in self._people.items() for info in infos.values()]
        for start in range(0, len(people), AT_ONCE):
            await self._store.enter(self._node, people[start : start + AT_ONCE])

        def stays(channel: str, node: str, client: str) -> bool:
            return node != self._node or client in self._people.get(channel, ())

        for part in await self._owned({channel for channel, _ in people}):
            await self._store.sift(part, stays)

    async def _sift(self, known: set[str]) -> None:
        """Take people of nodes that nobody knows out of the channels in which this one has somebody.

        What such a node left behind was lost with what Redis lost.
        """
        for part in await self._owned(set(self._people)):
            await self._store.sift(part, lambda channel, node, client: node in known)

    async def _owned(self, known: set[str]) -> list[list[str]]:
        """Return some channels, and those that Redis thinks this node has somebody in, in parts."""
        found = await self._store.owned(self._node, EVERY)
        channels = sorted(known | {name.decode("utf-8", "replace") for name in found})
        return [channels[start : start + AT_ONCE] for start in range(0, len(channels), AT_ONCE)]

    async def _clear(self, node: str) -> None:
        cleared = 0
        while channels := await self._store.owned(node, AT_ONCE):
            for name in channels:
                await self._clear_channel(node, name.decode("utf-8", "replace"))
            await self._store.disown(node, channels)
            cleared += len(channels)
        await self._store.remove_node(node)
        log.warning("node_gone", extra={"node": node, "channels": cleared})

    async def _clear_channel(self, node: str, channel: str) -> None:
        for owner, info in (await self._store.entered(channel)).values():
            if owner == node and await self._store.exit(node, channel, info):
                self._tell(channel, Left(info))

    async def leave(self) -> None:
        """Be no node any more. Others clear up after this one if it could not take its people out."""
        await self._store.remove_node(self._node, lease_over=bool(self._people or self._owed))

    async def count(self) -> int:
        """Return how many nodes live, this one among them even where Redis has just forgotten it."""
        return len((await self._store.nodes()).live | {self._node})

    # Presence

    async def enter(self, channel: str, info: ClientInfo) -> None:
        """Somebody is present in a channel through this node."""
        self._owed.pop((channel, info.client), None)
        self._people.setdefault(channel, {})[info.client] = info
        try:
            await self._store.enter(self._node, [(channel, info)])
        except BrokerError:
            self._drop(channel, info)
            self._owed[channel, info.client] = info
            raise

    async def exit(self, channel: str, info: ClientInfo) -> None:
        """He is not any more."""
        if info.client not in self._people.get(channel, ()) and (channel, info.client) not in self._owed:
            return
        self._drop(channel, info)
        self._owed[channel, info.client] = info
        await self._store.exit(self._node, channel, info)
        self._owed.pop((channel, info.client), None)
        if channel not in self._people:
            await self._store.disown(self._node, [channel])
            if channel in self._people:  # somebody came meanwhile
                await self._store.enter(self._node, [(channel, each) for each in self._people[channel].values()])

    def _drop(self, channel: str, info: ClientInfo) -> None:
        infos = self._people.get(channel, {})
        infos.pop(info.client, None)
        if not infos:
            self._people.pop(channel, None)

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            try:
                async with asyncio.timeout(RENEW_EVERY):
                    await self._soon.wait()
            except TimeoutError:
                pass
            self._soon.clear()
            try:
                await self.renew()
            except BrokerError as error:
                log.warning("lease_not_renewed", extra={"error": str(error)})
