"""Gateways that share a Redis are one gateway, on however many machines."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import jwt
import pytest
from redis.crc import key_slot
from websockets.asyncio.client import connect

from messageflow import Flow
from messageflow.errors import NotStored
from tests.brokers.redis.servers import Cluster, Server, wait_until
from tests.resuming import Client
from tests.support import API_KEY, TOKEN_SECRET, Running, running


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, "--appendonly", "yes")
    yield server
    server.stop()


@pytest.fixture
def gateways(redis: Server, tmp_path: Path) -> Iterator[list[Running]]:
    with ExitStack() as stack:
        flags = ("serve", "--broker", f"redis://127.0.0.1:{redis.port}")
        yield [stack.enter_context(running(flags, tmp_path / name)) for name in ("one", "two")]


def flow_for(gateway: Running) -> Flow:
    return Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)


async def test_a_push_at_one_gateway_reaches_a_client_at_the_other(gateways: list[Running]) -> None:
    one, two = gateways
    client = Client(two, "alice")
    await client.connect()
    with flow_for(one) as flow:
        receipts = [flow.push("alice", "n", number) for number in range(20)]
        assert {receipt.ack for receipt in receipts} == {"os"}
        await client.listen(20)
        assert client.seen == list(range(20))
        assert flow.online("alice")
        assert len(flow.info()) == 2
        assert flow.channels()["#alice"] == 1
        flow.disconnect("alice")
    await asyncio.wait_for(client.link.wait_closed(), 5)
    assert client.link.close_code == 3503


async def test_a_client_resumes_at_another_gateway_when_its_own_is_killed(gateways: list[Running]) -> None:
    one, two = gateways
    client = Client(one, "alice")
    await client.connect()
    with flow_for(two) as flow:
        flow.push("alice", "n", 0)
        await client.listen(1)
        one.kill()
        flow.push("alice", "n", 1)
        client.url = two.websocket
        assert (await client.connect())["recovered"]
        flow.push("alice", "n", 2)
        await client.listen(3)
    assert client.seen == [0, 1, 2]
    await client.link.close()


async def test_live_connections_outlast_a_redis_that_is_away(gateways: list[Running], redis: Server) -> None:
    one, two = gateways
    client = Client(one, "alice")
    await client.connect()
    with flow_for(two) as flow:
        flow.push("alice", "n", 0)
        await client.listen(1)
        redis.stop()
        await asyncio.sleep(1)
        redis.start()
        flow.push("alice", "n", 1)  # tries until Redis is there
        await client.listen(2)
    assert client.seen == [0, 1]
    assert client.link.close_code is None
    await client.link.close()


def written(server: Server, offset: str) -> int:
    """How much of the log of writes a server has."""
    return int(server.info("replication")[offset])


@pytest.mark.slow
async def test_gateways_over_a_cluster_outlast_a_primary_and_a_slot_that_moves(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, replicas=True)
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        flags = ("serve", "--broker", cluster.url, "--broker-deadline", "2")
        one, two = (stack.enter_context(running(flags, tmp_path / name)) for name in ("one", "two"))
        client = Client(one, "alice")
        await client.connect()
        key = "messageflow:{I2FsaWNl}:log"  # of #alice
        with flow_for(two) as flow:
            flow.push("alice", "n", 0)
            primary = cluster.holder(key)
            to = next(each for each in cluster.primaries if each is not primary)
            cluster.move_slot(key_slot(key.encode()), to)
            flow.push("alice", "n", 1)
            await client.listen(2)
            replica = cluster.replica_of(to)  # a primary acknowledges before it has everything
            wait_until(lambda: written(replica, "slave_repl_offset") >= written(to, "master_repl_offset"))
            cluster.kill(to)
            flow.push("alice", "n", 2)  # tries until another is elected
            await client.listen(3)
        assert client.seen == [0, 1, 2]
        assert client.link.close_code is None
        await client.link.close()


def test_a_push_that_redis_has_no_room_for_is_refused(gateways: list[Running], redis: Server) -> None:
    with flow_for(gateways[0]) as flow, redis.client() as client:
        flow.push("alice", "n", 0)
        client.config_set("maxmemory", "1")
        with pytest.raises(NotStored, match="Redis takes no writes: OOM"):
            flow.push("alice", "n", 1)
        client.config_set("maxmemory", "0")
        assert flow.push("alice", "n", 2).offset == 2


async def test_workers_share_a_redis_without_a_broker_of_their_parent(redis: Server, tmp_path: Path) -> None:
    flags = ("serve", "--workers", "2", "--broker", f"redis://127.0.0.1:{redis.port}")
    with running(flags, tmp_path / "one") as started:
        client = Client(started, "alice")
        await client.connect()
        with flow_for(started) as flow:
            for number in range(10):
                flow.push("alice", "n", number)
            assert len(flow.info()) == 2
        await client.listen(10)
        assert client.seen == list(range(10))
        await client.link.close()


def test_a_gateway_without_its_redis_does_not_start(redis: Server, tmp_path: Path) -> None:
    redis.stop()
    url = f"redis://127.0.0.1:{redis.port}"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "messageflow.cli",
            "serve",
            "--dev",
            "--port",
            "0",
            "--broker",
            url,
            "--broker-start-timeout",
            "1s",
        ],
        env=os.environ | {"MESSAGEFLOW_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "Redis cannot be reached" in done.stderr.splitlines()[0]  # at once, while it still waits
    assert "Redis cannot be reached" in done.stderr.splitlines()[-1]


async def visit(gateway: Running, user: str, dice: random.Random, until: float) -> None:
    """Come, subscribe and unsubscribe in one go, and leave without a word, again and again."""
    token = jwt.encode({"sub": user, "exp": time.time() + 600}, TOKEN_SECRET, "HS256")
    while time.monotonic() < until:
        link = await connect(gateway.websocket)
        await link.send(json.dumps({"id": 1, "connect": {"token": token}}))
        if dice.random() < 0.7:
            await link.recv()
        for number in range(dice.randrange(1, 6)):
            channel = f"room:{dice.randrange(3)}"
            methods = ("subscribe", "unsubscribe", "subscribe")[: dice.randrange(1, 4)]
            frame = [json.dumps({"id": 9 * number + id_, m: {"channel": channel}}) for id_, m in enumerate(methods, 2)]
            await link.send("\n".join(frame))
            await asyncio.sleep(dice.choice((0, 0.01 * dice.random())))
        link.transport.abort()


async def test_whoever_comes_and_goes_in_whatever_hurry_is_not_present_once_gone(redis: Server, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        "connections_per_user = 0\n[[channel.namespaces]]\nname = 'room'\npresence = true\njoin_leave = true\n"
        "allow_subscribe_for_client = true\n"
    )
    flags = ("serve", "--broker", redis.url, "--config", str(config))
    with ExitStack() as stack:
        gateways = [stack.enter_context(running(flags, tmp_path / name)) for name in ("one", "two")]
        dice, end = random.Random(20), time.monotonic() + 3
        await asyncio.gather(*(visit(gateways[number % 2], f"u{number}", dice, end) for number in range(40)))
        client = stack.enter_context(redis.client())
        await asyncio.to_thread(wait_until, lambda: not client.keys("*:present") and not client.keys("*:users"))
        with flow_for(gateways[0]) as flow:
            assert [flow.presence_stats(f"room:{number}").num_clients for number in range(3)] == [0, 0, 0]


async def test_what_is_done_in_one_database_does_not_reach_users_in_another(redis: Server, tmp_path: Path) -> None:
    with ExitStack() as stack:
        clients, flows = [], []
        for database in (0, 1):
            flags = ("serve", "--broker", f"{redis.url}/{database}")
            gateway = stack.enter_context(running(flags, tmp_path / str(database)))
            clients.append([Client(gateway, user) for user in ("alice", "bob")])
            flows.append(stack.enter_context(flow_for(gateway)))
            for client in clients[-1]:
                await client.connect()
        flows[0].disconnect("alice")
        flows[0].revoke("bob")
        for client in clients[0]:
            await asyncio.wait_for(client.link.wait_closed(), 15)
        for client in clients[1]:
            flows[1].push(client.channel.removeprefix("#"), "n", 1)
            await client.listen(1)
            assert client.link.close_code is None
            await client.link.close()


@pytest.mark.parametrize("again", ["one", "another"])
async def test_a_client_is_told_that_redis_went_back_in_time_while_no_gateway_was_there(
    redis: Server, tmp_path: Path, again: str
) -> None:
    flags = ("serve", "--broker", redis.url)
    with running(flags, tmp_path / "one") as gateway, flow_for(gateway) as flow:
        client = Client(gateway, "alice")
        await client.connect()
        for number in range(8):
            flow.push("alice", "n", number)
        redis.wait_until_written()
        shutil.copytree(tmp_path / "appendonlydir", tmp_path / "older")
        flow.push("alice", "n", 8)
        flow.push("alice", "n", 9)
        await client.listen(10)
        await client.link.close()
    redis.stop()
    shutil.rmtree(tmp_path / "appendonlydir")
    (tmp_path / "older").rename(tmp_path / "appendonlydir")
    redis.start()
    with running(flags, tmp_path / again) as gateway, flow_for(gateway) as flow:
        for number in (18, 19, 20):
            flow.push("alice", "n", number)
        client.url = gateway.websocket
        client.position["tag"] = ""  # as a client has it that knows of none
        assert not (await client.connect()).get("recovered")
        await client.link.close()


async def test_a_client_resumes_after_all_was_restarted_in_order(redis: Server, tmp_path: Path) -> None:
    flags = ("serve", "--broker", redis.url)
    with running(flags, tmp_path / "one") as gateway, flow_for(gateway) as flow:
        client = Client(gateway, "alice")
        await client.connect()
        flow.push("alice", "n", 0)
        await client.listen(1)
        await client.link.close()
    redis.wait_until_written()
    redis.stop()
    redis.start()
    with running(flags, tmp_path / "one") as gateway, flow_for(gateway) as flow:
        flow.push("alice", "n", 1)
        client.url = gateway.websocket
        assert (await client.connect())["recovered"]
        assert client.seen == [0, 1]
        await client.link.close()
