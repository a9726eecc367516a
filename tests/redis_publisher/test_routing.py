"""Where a flow finds its Redis: over TLS, a Unix socket, by Sentinel, in a Cluster, on several shards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from messageflow import Flow, GatewayUnreachable
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.topology.shards import shard_of
from messageflow.redis_publisher import client as redis_client
from tests.brokers.redis.certificates import Authority
from tests.brokers.redis.servers import Cluster, Server, Trio, wait_until
from tests.redis_publisher.conftest import Flows, leave_rules
from tests.resuming import Client
from tests.support import running

NAMES = Names("messageflow")
USERS = [f"user{number}" for number in range(60)]


def leave_rules_in(cluster: Cluster) -> None:
    leave_rules(cluster.holder(NAMES.rules))


def logs(server: Server) -> int:
    """How many streams a server has."""
    with server.client() as client:
        return len(client.keys("*:log"))


def push_to_all(flows: Flows, flow: Any, times: int = 1) -> None:
    """Push to all users in one batch, and see that all is there."""
    batch = flow.batch()
    for number in range(times):
        for user in USERS:
            batch.push(user, "t", number)
    flows.wait(batch.send())
    for user in USERS:
        found = flows.call(flow, "history", f"#{user}")
        assert [each.data["payload"] for each in found.publications] == list(range(times))


def test_tls_is_verified(authority: Authority, tmp_path: Path, flows: Flows) -> None:
    server = Server(tmp_path, certificate=authority.sign("localhost"))
    try:
        leave_rules(server)
        flow = flows.make(server.url)
        for offset in (1, 2):
            assert flows.call(flow, "push", "alice", "t").offset == offset
        with pytest.raises(GatewayUnreachable, match=r"(?i)certificate verify failed"):
            flows.call(flows.make(f"rediss://127.0.0.1:{server.port}"), "push", "alice", "t")
    finally:
        server.stop()


def test_a_unix_socket(tmp_path: Path, flows: Flows) -> None:
    path = tmp_path / "redis.sock"
    flow = flows.make(f"unix://{path}")
    with pytest.raises(GatewayUnreachable, match="no Redis answers at unix://"):
        flows.call(flow, "push", "alice", "t")
    server = Server(tmp_path, "--unixsocket", str(path))
    try:
        leave_rules(server)
        assert flows.call(flow, "push", "alice", "t").offset == 1
    finally:
        server.stop()


def test_another_database(own_server: Server, flows: Flows) -> None:
    leave_rules(own_server)
    with pytest.raises(GatewayUnreachable, match="no gateway has used"):
        flows.call(flows.make(f"{own_server.url}/3"), "push", "alice", "t")


@pytest.mark.slow
def test_sentinel_names_the_primary_also_after_a_failover(trio: Trio, flows: Flows) -> None:
    leave_rules(trio.primary)
    flow = flows.make(trio.url, timeout=15)
    assert flows.call(flow, "push", "alice", "t", 1).offset == 1
    with trio.replica.client() as client:
        wait_until(lambda: client.xlen(NAMES.log("#alice")) == 1 and client.exists(NAMES.rules))
    trio.primary.stop()
    assert flows.call(flow, "push", "alice", "t", 2).offset == 2
    assert logs(trio.replica) == 1


def test_no_sentinel_knows_the_service(trio: Trio, flows: Flows) -> None:
    flow = flows.make(trio.url.replace("/streams", "/another"), timeout=3)
    with pytest.raises(GatewayUnreachable, match="no Sentinel names a primary of 'another'"):
        flows.call(flow, "push", "alice", "t")


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_a_cluster_is_recognised(shared_cluster: Cluster, flows: Flows, scheme: str) -> None:
    leave_rules_in(shared_cluster)
    flow = flows.make(shared_cluster.url.replace("redis://", f"{scheme}://"))
    push_to_all(flows, flow, 3)
    assert all(logs(server) for server in shared_cluster.primaries)


@pytest.mark.slow
def test_a_slot_may_move_and_a_primary_die(own_cluster: Cluster, flows: Flows) -> None:
    leave_rules_in(own_cluster)
    flow = flows.make(own_cluster.url, timeout=20)
    log = NAMES.log("#alice")
    slot = key_slot(log.encode())
    assert flows.call(flow, "push", "alice", "t", 1).offset == 1
    old = own_cluster.holder(log)
    to = next(primary for primary in own_cluster.primaries if primary is not old)
    own_cluster.begin_move(slot, to)
    assert not flows.call(flow, "online", "alice")  # of no key there the old one sends to the new
    assert flows.call(flow, "push", "alicia", "t").offset == 1  # another slot, meanwhile
    moving = threading.Timer(0.3, own_cluster.end_move, (slot, old, to))
    moving.start()
    assert flows.call(flow, "push", "alice", "t", 2).offset == 2  # waits, for its keys are neither here nor there
    moving.join()
    heir = own_cluster.replica_of(to)
    with heir.client() as client:
        client.readonly()
        wait_until(lambda: client.xlen(log) == 2)
    own_cluster.kill(to)
    assert flows.call(flow, "push", "alice", "t", 3).offset == 3


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[list[Server]]:
    made: list[Server] = []
    try:
        for number in range(3):
            (tmp_path / f"shard-{number}").mkdir()
            made.append(Server(tmp_path / f"shard-{number}"))
        yield made
    finally:
        for server in made:
            server.stop()


def test_shards_have_a_part_each_and_one_that_is_away_only_its_own(
    shards: list[Server], flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = shard_of(NAMES.rules, 3)
    leave_rules(shards[away])
    urls = " ".join(server.url for server in shards)
    flow = flows.make(urls)
    push_to_all(flows, flow, 3)
    assert all(logs(server) for server in shards)
    monkeypatch.setattr(
        redis_client, "LOOK_EVERY", 0.0
    )  # what the rules are is asked for with each call, and remembered
    shards[away].stop()
    flows.wait(asyncio.sleep(0.05))  # a loop that runs only for calls would learn of it too late
    lost = next(user for user in USERS if shard_of(NAMES.state(f"#{user}"), 3) == away)
    with pytest.raises(GatewayUnreachable):
        flows.call(flows.make(urls, timeout=0.5), "push", lost, "t", 3)
    for user in USERS:
        if shard_of(NAMES.state(f"#{user}"), 3) != away:
            assert flows.call(flow, "push", user, "t", 3).offset == 4


@pytest.mark.parametrize("layout", ["cluster", "shards"])
async def test_what_is_asked_of_gateways_is_answered_in_every_layout(
    layout: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if layout == "cluster":
        url = request.getfixturevalue("shared_cluster").url
    else:
        url = " ".join(server.url for server in request.getfixturevalue("shards"))
    with running(["serve", "--broker", url], tmp_path / "gateway") as gateway:
        client = Client(gateway, "alice")
        await client.connect()
        flow = Flow(url)
        flow.push("alice", "t", 1)
        flow.push("alice", "t", 2)
        await client.listen(2)
        assert flow.online("alice")
        assert flow.channels("#alice") == {"#alice": 1}
        assert len(flow.info()) == 1
        assert [info.user for info in flow.presence("#alice").values()] == ["alice"]
        closing = threading.Thread(target=flow.disconnect, args=("alice",))
        closing.start()
        await client.link.wait_closed()
        closing.join(10)
        assert client.link.close_code == 3503
