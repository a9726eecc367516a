"""Who is present through this node, in Redis and here; and what nodes that died left behind.

Everybody is kept here too, so that he can be entered again when Redis lost him, and taken out when Redis remembers him
after he left. Whoever lives clears up after the dead.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import islice

from messageflow.brokers.redis.lease import LEASE, RENEW_EVERY, Lease
from messageflow.brokers.redis.registry import PRESENT_LIFE, Gone, Registry
from messageflow.brokers.redis.upkeep import soon_or_after
from messageflow.core.protocol import ClientInfo, Left
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")

TEND_EVERY = 5.0  # seconds
TRY_AGAIN = 30.0  # seconds until presence that could not be put in order is tried again
AT_ONCE = 500  # people or channels in one go
EVERY = 10_000_000  # more than there are
LEFT_FOR = 300.0  # seconds for which it is remembered that a channel had somebody; no replica is further behind
MOST_LEFT = 20_000  # channels of which that is remembered

Tell = Callable[[str, Left], None]


class People:
    """The people of one node.

    Args:
        registry: where all nodes meet.
        node: this node's name.
        tell: announces that somebody left a channel.
    """

    def __init__(self, registry: Registry, node: str, tell: Tell) -> None:
        self._registry = registry
        self._node = node
        self._tell = tell
        self._here: dict[str, dict[str, ClientInfo]] = {}  # by channel and client
        self._owed: dict[tuple[str, str], ClientInfo] = {}  # who left while Redis could not be told
        self._left: OrderedDict[str, float] = OrderedDict()  # channels in which nobody is any more, and since when
        self._soon = asyncio.Event()
        self._in_order_until = time.monotonic() + PRESENT_LIFE / 4
        self._sift_at = math.inf  # when to look for people of nodes that nobody knows

    # Coming and going

    async def enter(self, channel: str, info: ClientInfo) -> None:
        """Somebody is present in a channel through this node."""
        self._owed.pop((channel, info.client), None)
        self._here.setdefault(channel, {})[info.client] = info
        try:
            if not await self._registry.enter(self._node, [(channel, info)]):
                self._in_order_until = min(self._in_order_until, time.monotonic() + TRY_AGAIN)
        except BrokerError:
            self._drop(channel, info)
            self._owed[channel, info.client] = info
            raise
        self._owe_those_who_left(channel, [info])

    def _owe_those_who_left(self, channel: str, infos: Iterable[ClientInfo]) -> None:
        """Who left while he was being entered may have been taken out first: he has to be taken out once more."""
        for info in infos:
            if not self._is_here(channel, info.client):
                self._owed[channel, info.client] = info
                self._soon.set()

    async def exit(self, channel: str, info: ClientInfo) -> None:
        """He is not any more."""
        if not self._is_here(channel, info.client) and (channel, info.client) not in self._owed:
            return
        self._drop(channel, info)
        self._owed[channel, info.client] = info
        [outcome] = await self._registry.exit([Gone(self._node, channel, info)])
        if isinstance(outcome, BrokerError):
            raise outcome
        self._owed.pop((channel, info.client), None)
        if channel not in self._here:
            await self._registry.disown(self._node, [channel])
            if channel in self._here:  # somebody came meanwhile
                infos = list(self._here[channel].values())
                await self._registry.enter(self._node, [(channel, each) for each in infos])
                self._owe_those_who_left(channel, infos)

    def _is_here(self, channel: str, client: str) -> bool:
        return client in self._here.get(channel, ())

    def _drop(self, channel: str, info: ClientInfo) -> None:
        infos = self._here.get(channel, {})
        infos.pop(info.client, None)
        if not infos:
            self._here.pop(channel, None)
            self._left.pop(channel, None)
            self._left[channel] = time.monotonic()
            if len(self._left) > MOST_LEFT:
                self._left.popitem(last=False)

    @property
    def are_any(self) -> bool:
        """Whether Redis may have people of this node."""
        return bool(self._here or self._owed)

    # Keeping order

    def in_disorder(self) -> None:
        """Redis was away, and may know less, or more, than it did."""
        self._in_order_until = 0.0
        self._soon.set()

    async def tend(self, lease: Lease) -> None:
        """Take out who is owed, put this node's people in order when that is due, clear up after the dead."""
        for work in (self._pay, self._keep_order, lambda: self._clear_up(lease)):
            try:
                await work()
            except BrokerError as error:  # where its server is away, that of others may not be
                log.warning("presence_not_tended", extra={"error": str(error)})

    async def _pay(self) -> None:
        """Take out those who left while Redis could not be told; not those who came again since."""
        for _ in range(0, len(self._owed), AT_ONCE):
            part = [Gone(self._node, channel, info) for (channel, _), info in islice(self._owed.items(), AT_ONCE)]
            for gone in part:
                del self._owed[gone.channel, gone.info.client]
            for gone, outcome in zip(part, await self._registry.exit(part), strict=True):
                if isinstance(outcome, BrokerError) and not self._is_here(gone.channel, gone.info.client):
                    self._owed[gone.channel, gone.info.client] = gone.info

    async def _keep_order(self) -> None:
        if time.monotonic() < self._in_order_until:
            return
        self._in_order_until = time.monotonic() + PRESENT_LIFE / 4
        try:
            await self._put_in_order()
        except BrokerError:
            self._in_order_until = time.monotonic() + TRY_AGAIN
            raise
        self._sift_at = time.monotonic() + LEASE + RENEW_EVERY

    async def _clear_up(self, lease: Lease) -> None:
        """Clear up after nodes that died, once this one has been well for so long that it can tell."""
        if lease.well_for <= LEASE:
            return
        found = await self._registry.nodes()
        for dead in found.dead:
            await self._clear(dead)
        if time.monotonic() > self._sift_at:
            await self._sift(found.live | found.dead)
            self._sift_at = math.inf

    async def _put_in_order(self) -> None:
        """Enter whom Redis has forgotten, and take out who left since what it remembers.

        What this node had lies elsewhere than the channels, in a Cluster, and may be newer than they are.
        """
        people = [(channel, info) for channel, infos in self._here.items() for info in infos.values()]
        noted = True
        for start in range(0, len(people), AT_ONCE):
            noted = await self._registry.enter(self._node, people[start : start + AT_ONCE]) and noted
        if not noted:
            self._in_order_until = time.monotonic() + TRY_AGAIN

        def stays(channel: str, node: str, client: str) -> bool:
            return node != self._node or self._is_here(channel, client)

        long_ago = time.monotonic() - LEFT_FOR
        while self._left and next(iter(self._left.values())) < long_ago:
            self._left.popitem(last=False)
        for part in await self._owned({channel for channel, _ in people} | set(self._left)):
            await self._registry.sift(part, stays)

    async def _sift(self, known: set[str]) -> None:
        """Take people of nodes that nobody knows out of the channels in which this one has somebody.

        What such a node left behind was lost with what Redis lost.
        """
        for part in await self._owned(set(self._here)):
            await self._registry.sift(part, lambda channel, node, client: node in known)

    async def _owned(self, known: set[str]) -> list[list[str]]:
        """Return some channels, and those that Redis thinks this node has somebody in, in parts."""
        found = await self._registry.owned(self._node, EVERY)
        channels = sorted(known | {name.decode("utf-8", "replace") for name in found})
        return [channels[start : start + AT_ONCE] for start in range(0, len(channels), AT_ONCE)]

    async def _clear(self, node: str) -> None:
        """Take out whom a dead node left behind. Others may do the same: each is told of once."""
        cleared = 0
        while names := await self._registry.owned(node, AT_ONCE):
            channels = [name.decode("utf-8", "replace") for name in names]
            for gone in await self._registry.sift(channels, lambda channel, owner, client: owner != node):
                self._tell(gone.channel, Left(gone.info))
            await self._registry.disown(node, names)
            cleared += len(names)
        await self._registry.remove_node(node)
        log.warning("node_gone", extra={"node": node, "channels": cleared})

    async def run(self, lease: Lease) -> None:
        """Tend until cancelled."""
        while True:
            await soon_or_after(self._soon, TEND_EVERY)
            await self.tend(lease)
