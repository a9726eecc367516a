"""A cluster of the tests' own is one: keys are spread, slots move, a primary that dies has an heir."""

from __future__ import annotations

import pytest
from redis.cluster import RedisCluster
from redis.crc import key_slot

from tests.brokers.redis.servers import Cluster, wait_until


def test_keys_are_spread_over_the_primaries(shared_cluster: Cluster) -> None:
    with RedisCluster.from_url(shared_cluster.url) as client:
        for number in range(50):
            client.set(f"key-{number}", number)
        assert [client.get(f"key-{number}") for number in range(50)] == [b"%d" % number for number in range(50)]
        assert len({shared_cluster.holder(f"key-{number}").port for number in range(50)}) == 3


@pytest.mark.slow
def test_a_slot_moves_with_its_keys(own_cluster: Cluster) -> None:
    slot = key_slot(b"{a}1")
    with RedisCluster.from_url(own_cluster.url) as client:
        client.mset_nonatomic({f"{{a}}{number}": number for number in range(300)})
        old = own_cluster.holder("{a}1")
        to = next(primary for primary in own_cluster.primaries if primary is not old)
        own_cluster.move_slot(slot, to)
        wait_until(lambda: own_cluster.holder("{a}1") is to)
        assert client.get("{a}299") == b"299"


@pytest.mark.slow
def test_a_replica_takes_over_when_asked_and_when_its_primary_dies(own_cluster: Cluster) -> None:
    with RedisCluster.from_url(own_cluster.url) as client:
        client.set("x", 1)
        first = own_cluster.holder("x")
        second = own_cluster.replica_of(first)
        own_cluster.failover(second)
        assert own_cluster.holder("x") is second
        own_cluster.kill(second)
        wait_until(lambda: own_cluster.is_well() and own_cluster.holder("x") is first)
        assert client.get("x") == b"1"
