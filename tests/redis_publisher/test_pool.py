"""The connections of a flow to one server: who fails gives back what was taken."""

from __future__ import annotations

import time

import pytest

from messageflow.brokers.redis.connections.resp import Announcing, Command, ErrorReply
from messageflow.brokers.redis.connections.url import Address
from messageflow.brokers.redis.topology.slot_map import SlotMap, SlotRange
from messageflow.redis_publisher.blocking import Blocking
from messageflow.redis_publisher.edge import Attempt, Broken, Wire, run_now
from messageflow.redis_publisher.login import Login
from messageflow.redis_publisher.pool import CONNECTIONS, Part, Pool, exchange
from messageflow.redis_publisher.routing import ClusterRouter


def failing(name: str) -> Pool:
    """Return a pool to a server that cannot be reached."""

    async def dial(limit: float) -> Wire:
        raise Broken("nobody is there")

    return Pool(Blocking(), dial, name)


def test_attempts_that_fail_use_no_connections_up() -> None:
    pool = failing("away")
    for _ in range(2 * CONNECTIONS):
        attempt = Attempt(time.monotonic() + 0.5)
        with pytest.raises(Broken, match="nobody is there"):
            run_now(exchange([Part(pool, [("PING",)])], attempt))
        assert not attempt.sent


class Late:
    """A connection on which no reply comes in time, though nothing shows."""

    closed = False

    def is_quiet(self) -> bool:
        return True

    async def send(self, data: bytes, limit: float) -> None:
        pass

    async def receive(self, limit: float) -> object:
        raise TimeoutError

    def close(self) -> None:
        self.closed = True


def test_a_connection_whose_reply_is_late_is_closed_and_nobody_elses() -> None:
    dialled: list[Late] = []

    async def dial(limit: float) -> Wire:
        dialled.append(Late())
        return dialled[-1]

    pool = Pool(Blocking(), dial, "slow")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            run_now(exchange([Part(pool, [("PING",)])], Attempt(time.monotonic() + 5)))
    assert [wire.closed for wire in dialled] == [True, True]


def test_a_slot_that_moved_has_the_whole_map_read_again() -> None:
    cluster = ClusterRouter(Blocking(), Login("redis+cluster://one:1"))
    before = failing("one:1")
    ranges = [SlotRange(0, 16_383, Address("one", 1))]
    cluster._slots, cluster.in_doubt = SlotMap.from_ranges(ranges, lambda _: before), False
    reads = Command("key", ("GET", "key"))
    asked = cluster.follow(reads, ErrorReply("ASK 12539 two:2"), before)
    assert asked is not None
    assert (asked.name, cluster.pool("key"), cluster.in_doubt) == ("two:2", before, False)
    announces = Announcing("SPUBLISH").of("key", b"m")  # nobody hears it there yet
    assert cluster.follow(announces, ErrorReply("ASK 12539 two:2"), before) is None
    moved = cluster.follow(announces, ErrorReply("MOVED 12539 :3"), before)  # without a host: the one that was asked
    assert moved is not None
    assert (moved.name, cluster.pool("key"), cluster.in_doubt) == ("one:3", moved, True)
    assert cluster.follow(reads, ErrorReply("NOPERM no"), before) is None
