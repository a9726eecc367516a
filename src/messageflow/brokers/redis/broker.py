"""The broker over Redis or Valkey: streams in Redis Streams, announcements over Pub/Sub, any number of nodes.

One script stores, numbers and announces a publication in one step, so all nodes see one order. Pub/Sub promises
nothing; whenever something may have been missed, on a lost connection or in a quiet spell, positions are compared with
Redis and the hub heals from history. A stream that stands below where this node has seen it lost its end, as after a
failover: it is put into a new epoch before anybody can take its reused offsets for the old ones.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from messageflow.brokers.base import HistoryPart, Sink, Stored
from messageflow.brokers.broker_options import DEFAULTS
from messageflow.brokers.redis.connections.command_client import CommandClient
from messageflow.brokers.redis.connections.connector import Connector
from messageflow.brokers.redis.connections.server_check import ServerInfo
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.messages import (
    PUBLISHED,
    Garbage,
    encode_presence_push,
    read_presence_push,
    read_published,
)
from messageflow.brokers.redis.presence.lease import Lease
from messageflow.brokers.redis.presence.local_presence import LocalPresence
from messageflow.brokers.redis.presence.presence_store import RedisPresenceStore
from messageflow.brokers.redis.pubsub.scatter_gather import ScatterGather
from messageflow.brokers.redis.reservations import RedisReservations
from messageflow.brokers.redis.streams.position_monitor import PositionMonitor
from messageflow.brokers.redis.streams.publish_batcher import PublishBatcher
from messageflow.brokers.redis.streams.rollback_detection import Ages
from messageflow.brokers.redis.streams.stream_store import Read, RedisStreamStore, to_history, unwrap_outcomes
from messageflow.brokers.redis.streams.witness import Witness
from messageflow.brokers.redis.tasks import cancel_all, supervise
from messageflow.brokers.redis.topology.detection import TopologySettings, open_topology
from messageflow.brokers.redis.topology.topology import Topology
from messageflow.core.client_info import ClientInfo
from messageflow.core.presence import PresenceCounts
from messageflow.core.protocol import Joined, Left
from messageflow.core.reservations import Reservation
from messageflow.core.stream import Item, Position
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")


class RedisBroker:
    """The contract of `brokers.base.Broker` over one Redis, a Cluster, or several shards.

    Args:
        connectors: where each shard is, in an order that all nodes share.
        node: this node's name, without spaces, unique among all that ever were.
        prefix: sets apart what belongs to one gateway.
        rules: what is left in Redis for flows that publish without a gateway.
        idempotency_window: seconds for which a repeated key is recognised.
        deadline: seconds a call may take.
        memory: a directory for what this machine remembers beside Redis, see `witness`; None remembers nothing.

    Raises:
        ConfigurationError: the prefix cannot be one.
    """

    def __init__(
        self,
        connectors: Sequence[Connector],
        node: str,
        *,
        prefix: str = DEFAULTS.broker_prefix,
        rules: bytes = b"",
        idempotency_window: float = DEFAULTS.idempotency_window,
        deadline: float = DEFAULTS.broker_deadline,
        memory: Path | None = None,
    ) -> None:
        self._connectors = list(connectors)
        self._names = Names(prefix)
        self._node = node
        self._rules = rules
        self._window = idempotency_window
        self._deadline = deadline
        self._witness = Witness(memory, node)
        self._sink: Sink | None = None
        self._topology: Topology
        self._tasks: list[asyncio.Task[None]] = []
        self._is_back = asyncio.Event()

    # Life

    async def start(self, sink: Sink) -> None:
        """Connect and deliver to `sink` from now on.

        Raises:
            BrokerError: Redis cannot be reached, or refuses.
        """
        topology = await open_topology(
            self._connectors, self, TopologySettings(self._names, self._node, self._deadline)
        )
        self._topology = topology
        self._client = CommandClient(topology)
        self._streams = RedisStreamStore(self._client, self._names, self._window)
        self._presence_store = RedisPresenceStore(self._client, self._names)
        self._batcher = PublishBatcher(
            self._streams.publish, lambda channel: topology.identify_server(self._names.state(channel)), self._deadline
        )
        self._local_presence = LocalPresence(
            self._presence_store, self._node, self._announce_leave, self._note_taken_out
        )
        self._lease = Lease(self._presence_store, self._node, self._rules, self._local_presence.mark_disordered)
        self._reservations = RedisReservations(self._client, self._names, self._node, self._window, self._list_live)
        self._scatter = ScatterGather(
            self._names, self._node, self._client.announce, self._announce_unawaited, self._lease.count
        )
        self._positions = PositionMonitor(self._streams, self._doubt, self._witness.stir)
        self._ages = Ages(self._client, self._names, self._node, self._streams, self._witness)
        self._sink = sink
        try:
            await topology.start()
            await self._ages.begin(await self._inspect())
            await self._lease.renew()
            await topology.subscribe(self._scatter.own)
            await topology.subscribe(self._names.control)
        except BaseException:
            self._sink = None
            await self._batcher.close()
            await self._ages.close()
            await topology.close()
            raise
        self._tasks = [
            supervise(self._lease.run, "redis-lease"),
            supervise(lambda: self._local_presence.run(self._lease), "redis-presence"),
            supervise(self._positions.run, "redis-positions"),
            supervise(lambda: self._ages.follow_lives(self._is_back, self._inspect_again), "redis-inspection"),
            supervise(self._ages.run_beats, "redis-beats"),
        ]

    async def close(self) -> None:
        if self._sink is None:
            return
        self._sink = None
        await cancel_all(self._tasks)
        await self._positions.close()
        await self._batcher.close()
        await self._local_presence.close()
        try:
            # Other nodes clear up after this one if it could not take its clients out.
            await self._presence_store.remove_node(self._node, lease_over=self._local_presence.has_any)
        except BrokerError as error:
            log.warning("leave_failed", extra={"error": str(error)})
        await self._ages.close()
        await self._topology.close()

    @property
    def trouble(self) -> str:
        return self._topology.trouble

    @property
    def may_be_dead(self) -> bool:
        return self._lease.may_be_over

    async def _inspect(self) -> list[str]:
        """Find out what an acknowledgement means here, and refuse a Redis that cannot do what is needed.

        Returns:
            The lives of all servers.
        """
        found = await self._topology.inspect()
        for where, inspection in found.items():
            for advice in inspection.advice:
                log.warning("redis_advice", extra={"redis": where, "server": inspection.server, "advice": advice})
        if problem := _list_hindrances(found):
            raise BrokerError(f"this Redis cannot be used: {problem}")
        return [inspection.life for inspection in found.values()]

    async def _inspect_again(self) -> list[str]:
        """Inspect all servers again after an absence: they may be others. Returns the lives of all."""
        found = await self._topology.inspect()
        if problem := _list_hindrances(found):
            log.error("redis_unfit", extra={"problem": problem})
        await self._positions.wait_for_review()
        return [inspection.life for inspection in found.values()]

    # Publishing and reading

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        receipts = unwrap_outcomes(await self._batcher.publish(items))
        for item, receipt in zip(items, receipts, strict=True):
            self._positions.note_receipt(item.channel, receipt.position)
        return receipts

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        read = await self._compare(channel, await self._streams.read_since(channel, position, limit, size))
        if not read.found:
            await self._positions.judge_refusal(channel, read.top)
        return to_history(read, channel, position)

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart:
        found = await self._streams.read_page(channel, offset, limit, size, reverse=reverse)
        read = await self._compare(channel, found)
        return HistoryPart(read.publications, read.top)

    async def _compare(self, channel: str, read: Read) -> Read:
        await self._positions.compare(channel, read.top)
        return read

    async def remove_history(self, channel: str) -> None:
        await self._streams.remove_history(channel)

    # Subscribing

    async def subscribe(self, channel: str) -> None:
        self._positions.add(channel)
        await self._topology.subscribe(self._names.live(channel))

    def unsubscribe(self, channel: str) -> None:
        if self._positions.remove(channel):
            self._topology.unsubscribe(self._names.live(channel))

    # What is heard

    def on_announced(self, name: bytes, body: bytes) -> None:
        """Take what was announced; garbage is passed over and counted."""
        if self._sink is None:
            return
        channel = self._names.channel_of(name)
        try:
            if channel is None:
                self._take_node_message(name, body, self._sink)
            elif body[:1] == PUBLISHED:
                epoch, publication = read_published(body)
                if self._positions.note_announcement(channel, epoch, publication):
                    self._sink.on_publication(channel, epoch, publication)
            else:
                self._sink.on_presence(channel, read_presence_push(body))
        except ValueError as error:
            self._client.skip_garbage(error, channel or "")

    def _take_node_message(self, name: bytes, body: bytes, sink: Sink) -> None:
        if self._scatter.take(name, body, sink):
            return
        if body[:1] != b"C":
            raise Garbage("a message to all nodes that cannot be read")
        sink.on_control(body[1:])

    def on_missed(self) -> None:
        """Something may have been missed."""
        self._positions.review()

    def on_lost(self) -> None:
        """Redis is gone, or cannot be heard."""
        self._reservations.note_absence()
        self._positions.set_aside()

    def _doubt(self) -> None:
        if self._sink is not None:
            self._sink.on_doubt()

    def on_back(self) -> None:
        """Redis can be asked again."""
        if self._tasks:
            self._is_back.set()
            self._reservations.note_absence()
            self._lease.renew_soon()
            self._local_presence.mark_disordered()
            self._positions.review()

    # Presence, control, surveys

    async def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        if keep:
            await self._local_presence.enter(channel, info)
        if tell:
            await self._client.announce(self._names.live(channel), encode_presence_push(Joined(info)))

    async def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        await self._local_presence.exit(channel, info)
        if tell:
            await self._client.announce(self._names.live(channel), encode_presence_push(Left(info)))

    def _announce_leave(self, channel: str, push: Left) -> None:
        self._announce_unawaited(self._names.live(channel), encode_presence_push(push))

    def _note_taken_out(self, channel: str, push: Left) -> None:
        if self._sink is not None:
            self._sink.on_presence(channel, push)

    def _announce_unawaited(self, name: str, message: bytes) -> None:
        self._topology.execute_unawaited(self._topology.get_announcing(name).to_command(name, message))

    async def read_presence(self, channel: str) -> dict[str, ClientInfo]:
        return await self._presence_store.read_presence(channel)

    async def count_presence(self, channel: str) -> PresenceCounts:
        return await self._presence_store.count_presence(channel)

    async def find_occupied(self, channels: Sequence[str]) -> set[str]:
        return await self._presence_store.find_occupied(channels)

    async def reserve(self, user: str, key: str, age: float | None = None) -> Reservation:
        return await self._reservations.reserve(user, key, age)

    async def settle(self, user: str, key: str, outcome: bytes | None) -> None:
        await self._reservations.settle(user, key, outcome)

    async def _list_live(self) -> set[str]:
        return (await self._presence_store.list_nodes()).live

    async def send_control(self, message: bytes) -> None:
        await self._client.announce(self._names.control, b"C" + message)

    async def survey(self, question: bytes) -> list[bytes]:
        return await self._scatter.ask(question)

    def statistics(self) -> dict[str, float]:
        return {
            "redis_lost": self._topology.times_lost,
            "garbage_skipped": self._client.garbage,
            "lost_tails": self._positions.lost_tails,
            "publications_refused": self._batcher.refused,
        }


def _list_hindrances(found: dict[str, ServerInfo]) -> str:
    return "; ".join(
        f"{where}: {hindrance}" for where, inspection in found.items() for hindrance in inspection.hindrances
    )
