"""What a flow learns of a Cluster's slots from the servers it asked."""

from __future__ import annotations

from messageflow.brokers.redis.connections.resp import Announcing, ErrorReply, RedisCommand
from messageflow.brokers.redis.connections.url import Address
from messageflow.brokers.redis.topology.slot_map import SlotMap, SlotRange
from messageflow.client_io.blocking_io import BLOCKING
from messageflow.client_io.kernel import Broken, ClientConnection
from messageflow.client_io.pool import ConnectionPool
from messageflow.redis_publisher.routing import ClusterRouter
from messageflow.redis_publisher.server_connector import ServerConnector


async def dial(limit: float) -> ClientConnection:
    raise Broken("nobody is there")


def test_a_slot_that_moved_has_the_whole_map_read_again() -> None:
    cluster = ClusterRouter(BLOCKING, ServerConnector("redis+cluster://one:1"))
    before = ConnectionPool(BLOCKING, dial, "one:1")
    ranges = [SlotRange(0, 16_383, Address("one", 1))]
    cluster._slots, cluster.in_doubt = SlotMap.from_ranges(ranges, lambda _: before), False
    reads = RedisCommand("key", ("GET", "key"))
    asked = cluster.follow(reads, ErrorReply("ASK 12539 two:2"), before)
    assert asked is not None
    assert (asked.name, cluster.pool("key"), cluster.in_doubt) == ("two:2", before, False)
    announces = Announcing("SPUBLISH").to_command("key", b"m")  # nobody hears it there yet
    assert cluster.follow(announces, ErrorReply("ASK 12539 two:2"), before) is None
    moved = cluster.follow(announces, ErrorReply("MOVED 12539 :3"), before)  # without a host: the one that was asked
    assert moved is not None
    assert (moved.name, cluster.pool("key"), cluster.in_doubt) == ("one:3", moved, True)
    assert cluster.follow(reads, ErrorReply("NOPERM no"), before) is None
