"""The Cluster of a run does what its faults need: it keeps what it acknowledged, or loses exactly the end of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.cluster import RedisCluster

from tests.brokers.redis.servers import Server, wait_until
from tests.faults.cluster import ClusterEngine
from tests.faults.cluster_faults import ClusterFaults
from tests.faults.nemesis import Fault
from tests.faults.schedule import CLUSTER, Planned

KEYS = [f"key-{number}" for number in range(30)]

pytestmark = pytest.mark.slow


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[ClusterEngine]:
    made = ClusterEngine(tmp_path, "always", 2, 1, random.Random(1))
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


def fault(engine: ClusterEngine, kind: str) -> tuple[Fault, Planned]:
    return ClusterFaults(engine).faults[kind], Planned(1, 0, kind, 0.2, 1)


def write(engine: ClusterEngine, value: str) -> None:
    with RedisCluster.from_url(engine.cluster.url) as client:
        for key in KEYS:
            client.set(key, value)


def read(engine: ClusterEngine) -> set[bytes | None]:
    with RedisCluster.from_url(engine.cluster.url) as client:
        return {client.get(key) for key in KEYS}


def dump(server: Server) -> dict[bytes, bytes]:
    with server.client() as client:
        return {key: client.get(key) for key in client.keys("*")}


async def test_what_takes_nothing_away_takes_nothing_away(engine: ClusterEngine) -> None:
    await asyncio.to_thread(write, engine, "kept")
    for kind in ("cluster_failover", "cluster_move", "cluster_stall", "cluster_restart"):
        do, planned = fault(engine, kind)
        assert await do(planned, random.Random(1)) > 0
        assert await asyncio.to_thread(read, engine) == {b"kept"}
    assert await engine.restart(0)
    assert await asyncio.to_thread(read, engine) == {b"kept"}


async def test_a_lost_tail_is_what_was_written_since_replication_was_cut(engine: ClusterEngine) -> None:
    await asyncio.to_thread(write, engine, "kept")
    do, planned = fault(engine, "cluster_lost_tail")
    losing = asyncio.ensure_future(do(planned, random.Random(1)))
    victim = random.Random(1).choice(await asyncio.to_thread(lambda: engine.cluster.primaries))
    replica = await asyncio.to_thread(lambda: engine.cluster.replica_of(victim))
    await asyncio.to_thread(wait_until, lambda: replica.info("replication")["master_link_status"] == "down")
    mine = next(iter(await asyncio.to_thread(dump, victim)))
    with victim.client() as client:
        client.set(mine, "late")
    assert await losing > 0
    assert await asyncio.to_thread(read, engine) == {b"kept"}


def test_there_is_a_fault_for_each_kind(tmp_path: Path) -> None:
    assert set(ClusterFaults(ClusterEngine(tmp_path, "always", 1, 0, random.Random(1))).faults) == set(CLUSTER)
