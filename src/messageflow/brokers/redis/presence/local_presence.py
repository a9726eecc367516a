"""The presence of this node's clients, here and in Redis; and the clearing up after nodes that died.

Clients are kept here too, so that they can be entered again when Redis lost them, and taken out when Redis still has
them after they left. Nodes that live clear up after those that died.

Of one client in one channel Redis is told one thing at a time. Whatever may make Redis differ from this node leaves a
*note*. A note is removed only when Redis was told the present state after that very note was seen; what changes in the
meantime leaves a note of its own. Nothing depends on a caller that waits until the end. Owns the notes and the tasks
that tell Redis, never the lease.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from messageflow.brokers.redis.presence.lease import LEASE, RENEW_EVERY, Lease
from messageflow.brokers.redis.presence.presence_store import PRESENT_LIFE, Gone, RedisPresenceStore
from messageflow.brokers.redis.tasks import wait_at_most
from messageflow.core.channels import DEATHS
from messageflow.core.client_info import ClientInfo
from messageflow.core.protocol import Left
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")

TEND_EVERY = 5.0  # seconds
TRY_AGAIN = 30.0  # seconds until presence that could not be put in order is tried again
ONCE_MORE = LEASE  # seconds after a disorder: what was under way on a lost connection may have been carried out late
ALL_KNOWN = LEASE + RENEW_EVERY  # seconds in which every node that lives has said so
AT_ONCE = 500  # clients or channels in one go
EVERY = 10_000_000  # more than there are
LEFT_FOR = 300.0  # seconds for which it is remembered that a channel had clients; no replica is further behind
MOST_LEFT = 20_000  # channels of which that is remembered

Announce = Callable[[str, Left], None]
Key = tuple[str, str]  # channel and client


class LocalPresence:
    """The clients that are present through one node.

    Args:
        store: where all nodes meet.
        node: this node's name.
        announce: announces that a client left a channel.
        on_taken_out: called when others took out a client of this node that is there, for they took it for dead; of
            the channels of the gateway's own alone, for by these the application is told of ends.
    """

    def __init__(self, store: RedisPresenceStore, node: str, announce: Announce, on_taken_out: Announce) -> None:
        self._store = store
        self._node = node
        self._announce = announce
        self._on_taken_out = on_taken_out
        self._here: dict[str, dict[str, ClientInfo]] = {}  # by channel and client
        self._notes: dict[Key, Gone] = {}  # clients of which Redis may know something else
        self._changes: dict[Key, asyncio.Task[None]] = {}  # tell Redis
        self._left: OrderedDict[str, float] = OrderedDict()  # channels that lost their last client here, and when
        self._emptied: set[str] = set()  # those that Redis still has as channels of this node
        self._soon = asyncio.Event()
        self._in_order_until = time.monotonic() + PRESENT_LIFE / 4
        self._is_late = False  # whether what was sent before a disorder may still be carried out
        self._sift_at = time.monotonic() + ALL_KNOWN  # when to look for clients of nodes that are not known

    # Coming and going

    async def enter(self, channel: str, info: ClientInfo) -> None:
        """Enter a client into a channel. When cancelled it is present until it `exit`s.

        Raises:
            BrokerError: Redis could not be told; the client is not present.
        """
        self._here.setdefault(channel, {})[info.client] = info
        self._note(channel, info)
        await asyncio.shield(self._change((channel, info.client)))

    async def exit(self, channel: str, info: ClientInfo) -> None:
        """Take a client out. One that was not there is no error.

        Raises:
            BrokerError: Redis could not be told, and will be.
        """
        key = channel, info.client
        if not self._is_here(*key) and key not in self._notes:
            return
        self._drop(channel, info)
        self._note(channel, info)
        await asyncio.shield(self._change(key))

    def _note(self, channel: str, info: ClientInfo) -> None:
        self._notes[channel, info.client] = Gone(self._node, channel, info)

    def _change(self, key: Key) -> asyncio.Task[None]:
        """Have Redis told the state of a client, after what it is being told already."""
        task = self._changes.get(key)
        if task is None:
            task = self._changes[key] = asyncio.get_running_loop().create_task(self._tell_all(key))
            task.add_done_callback(_retrieve)  # its callers may have given up
        return task

    async def _tell_all(self, key: Key) -> None:
        """Tell Redis the state of a client until there is no newer note."""
        try:
            while (note := self._notes.get(key)) is not None:
                failure = await self._tell_one(note)
                if self._notes.get(key) is not note:
                    continue
                if failure is None:
                    del self._notes[key]
                    continue
                if self._is_here(*key):  # it is refused, and Redis may have it
                    self._drop(note.channel, note.info)
                raise failure
        finally:
            del self._changes[key]

    async def _tell_one(self, note: Gone) -> BrokerError | None:
        """Tell Redis the state of a client. Returns why that failed, if it did."""
        info = self._here.get(note.channel, {}).get(note.info.client)
        try:
            if info is None:
                [outcome] = await self._store.exit([note])
                return outcome if isinstance(outcome, BrokerError) else None
            if not await self._store.enter(self._node, [(note.channel, info)]):
                self._put_in_order_within(TRY_AGAIN)
        except BrokerError as error:
            return error
        return None

    def _is_here(self, channel: str, client: str) -> bool:
        return client in self._here.get(channel, ())

    def _drop(self, channel: str, info: ClientInfo) -> None:
        infos = self._here.get(channel, {})
        infos.pop(info.client, None)
        if not infos:
            self._here.pop(channel, None)
            self._emptied.add(channel)
            self._left.pop(channel, None)
            self._left[channel] = time.monotonic()
            if len(self._left) > MOST_LEFT:
                self._left.popitem(last=False)

    @property
    def has_any(self) -> bool:
        """Whether Redis may have clients of this node."""
        return bool(self._here or self._notes)

    # Keeping order

    def mark_disordered(self) -> None:
        """Redis was away, and may know less, or more, than it did."""
        self._in_order_until = 0.0
        self._is_late = True
        self._soon.set()

    def _put_in_order_within(self, seconds: float) -> None:
        self._in_order_until = min(self._in_order_until, time.monotonic() + seconds)

    async def tend(self, lease: Lease) -> None:
        """Tell Redis what it could not be told, put presence in order when that is due, clear up after dead nodes."""
        try:
            await self._come_back(lease)
        except BrokerError as error:  # what was taken out must not be entered again unseen
            log.warning("presence_not_tended", extra={"error": str(error)})
            return
        for work in (self._catch_up, self._disown, self._keep_order, lambda: self._clear_up(lease)):
            try:
                await work()
            except BrokerError as error:  # where its server is away, that of others may not be
                log.warning("presence_not_tended", extra={"error": str(error)})

    async def _come_back(self, lease: Lease) -> None:
        """Find out what others did if the lease was over, as that of a process that was stopped for a while.

        They announce whom they take out, and this node may not have heard it: its connection, on which nothing was read
        for so long, is made anew. The lease is renewed first: who begins to clear up after that finds that it lives.
        """
        if not lease.may_be_over:
            return
        await lease.renew()
        if not lease.lapsed:
            return
        if await self._store.is_buried(self._node):
            for channel in DEATHS:
                await self._tell_taken_out(channel)
            await self._store.leave_grave(self._node)
            log.warning("taken_for_dead")
        lease.lapsed = False

    async def _tell_taken_out(self, channel: str) -> None:
        here = self._here.get(channel, {})
        known = [client for client in here if (channel, client) not in self._notes]  # what is noted Redis may not know
        for start in range(0, len(known), AT_ONCE):
            for client in await self._store.find_absent(channel, known[start : start + AT_ONCE]):
                if (info := here.get(client)) is not None:
                    self._on_taken_out(channel, Left(info))

    async def _catch_up(self) -> None:
        """Tell Redis what it could not be told."""
        keys = list(self._notes)
        for start in range(0, len(keys), AT_ONCE):
            part = [self._change(key) for key in keys[start : start + AT_ONCE] if key in self._notes]
            for failure in await asyncio.gather(*part, return_exceptions=True):
                if isinstance(failure, BaseException) and not isinstance(failure, BrokerError):
                    raise failure

    async def _disown(self) -> None:
        """Note in Redis in which channels this node has no clients any more.

        A client may come at the same time, so this is checked again afterwards.
        """
        if len(self._notes) > AT_ONCE:  # most of these channels may yet have clients in Redis
            return
        emptied = list(self._emptied)
        for start in range(0, len(emptied), AT_ONCE):
            part = set(emptied[start : start + AT_ONCE])
            if not (channels := part - self._find_used(part)):
                continue
            self._emptied -= channels
            try:
                await self._store.disown(self._node, list(channels))
                if again := self._find_used(channels):
                    await self._store.own(self._node, again)
            except BrokerError:
                self._emptied |= channels
                self._put_in_order_within(TRY_AGAIN)
                raise
        self._emptied = {channel for channel in self._emptied if channel not in self._here}

    def _find_used(self, channels: set[str]) -> set[str]:
        """Return those of some channels in which Redis may have clients of this node."""
        noted = {channel for channel, _ in self._notes}
        return {channel for channel in channels if channel in self._here or channel in noted}

    async def _keep_order(self) -> None:
        if time.monotonic() < self._in_order_until:
            return
        is_late, self._is_late = self._is_late, False
        self._in_order_until = time.monotonic() + (ONCE_MORE if is_late else PRESENT_LIFE / 4)
        try:
            await self._put_in_order()
        except BrokerError:
            self._is_late = self._is_late or is_late
            self._put_in_order_within(TRY_AGAIN)
            raise
        self._sift_at = time.monotonic() + ALL_KNOWN

    async def _clear_up(self, lease: Lease) -> None:
        """Clear up after nodes that died, once this one has been well for so long that it can tell."""
        if lease.well_for <= LEASE:
            return
        found = await self._store.list_nodes()
        for dead in found.dead:
            await self._clear(dead)
        if time.monotonic() > self._sift_at:
            await self._sift(found.live | found.dead)
            self._sift_at = math.inf

    async def _put_in_order(self) -> None:
        """Enter the clients that Redis has lost, and take out those that left since.

        What this node had lies elsewhere than the channels, in a Cluster, and may be newer than they are.
        """
        people = [(channel, info) for channel, infos in self._here.items() for info in infos.values()]
        for start in range(0, len(people), AT_ONCE):
            await self._enter_again(people[start : start + AT_ONCE])

        def stays(channel: str, node: str, client: str) -> bool:
            return node != self._node or self._is_here(channel, client)

        long_ago = time.monotonic() - LEFT_FOR
        while self._left and next(iter(self._left.values())) < long_ago:
            self._left.popitem(last=False)
        for part in await self._list_owned({channel for channel, _ in people} | set(self._left)):
            gone = await self._store.sift(part, stays)
            self._note_changed(
                (each.channel, each.info) for each in gone if self._is_here(each.channel, each.info.client)
            )

    async def _enter_again(self, people: Sequence[tuple[str, ClientInfo]]) -> None:
        try:
            if not await self._store.enter(self._node, people):
                self._put_in_order_within(TRY_AGAIN)
        finally:  # a client that left meanwhile may have been taken out first
            self._note_changed(
                (channel, info) for channel, info in people if self._here.get(channel, {}).get(info.client) is not info
            )

    def _note_changed(self, people: Iterable[tuple[str, ClientInfo]]) -> None:
        """Note clients that changed while Redis was told of all together."""
        for channel, info in people:
            self._note(channel, info)
            self._soon.set()

    async def _sift(self, known: set[str]) -> None:
        """Take clients of nodes that are not known out of the channels in which this one has clients.

        What such a node left behind was lost with what Redis lost.
        """
        for part in await self._list_owned(set(self._here)):
            await self._store.sift(part, lambda channel, node, client: node in known)

    async def _list_owned(self, known: set[str]) -> list[list[str]]:
        """Return some channels, and those that Redis has as channels of this node, in parts."""
        found = await self._store.list_owned(self._node, EVERY)
        channels = sorted(known | {name.decode("utf-8", "replace") for name in found})
        return [channels[start : start + AT_ONCE] for start in range(0, len(channels), AT_ONCE)]

    async def _clear(self, node: str) -> None:
        """Take out the clients a dead node left behind. Other nodes may do the same: each leave is announced once."""
        cleared = 0
        if not await self._store.bury(node):
            return
        while names := await self._store.list_owned(node, AT_ONCE):
            channels = [name.decode("utf-8", "replace") for name in names]
            for gone in await self._store.sift(channels, lambda channel, owner, client: owner != node):
                self._announce(gone.channel, Left(gone.info))
            await self._store.disown(node, names)
            cleared += len(names)
            if node not in (await self._store.list_nodes()).dead:  # it is back, and sees to the rest itself
                return
        await self._store.remove_node(node)
        log.warning("node_gone", extra={"node": node, "channels": cleared})

    async def run(self, lease: Lease) -> None:
        """Tend until cancelled."""
        while True:
            await wait_at_most(self._soon, TEND_EVERY)
            await self.tend(lease)

    async def close(self) -> None:
        """Return once Redis was told all that it is being told."""
        if self._changes:
            await asyncio.wait(list(self._changes.values()))


def _retrieve(task: asyncio.Task[None]) -> None:
    """Take the exception of a task: what failed has left its note, and is told again."""
    if not task.cancelled():
        task.exception()
