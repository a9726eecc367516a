"""The broker keeps the contract over a Cluster and over shards, and loses nothing while these change."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from messageflow.brokers.base import Broker
from messageflow.brokers.redis.broker import RedisBroker
from messageflow.brokers.redis.topology.shards import shard_of
from messageflow.core.stream import Item
from messageflow.errors import BrokerError, Unanswered
from messageflow.gateway.broker_start import start_patiently
from messageflow.testing.broker_suite import NOT_KEPT, BrokerSuite, RecordingSink, items, until
from tests.brokers.redis.conftest import PATIENCE, broker_at
from tests.brokers.redis.servers import Cluster, Server, has_caught_up


@asynccontextmanager
async def opened_at(url: str, sink: RecordingSink, **options: Any) -> AsyncIterator[RedisBroker]:
    broker = broker_at(url, **options)
    await start_patiently(partial(broker.start, sink), PATIENCE)
    try:
        yield broker
    finally:
        await broker.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[Server]]:
    servers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        servers.append(Server(tmp_path / name))
    yield servers
    for server in servers:
        server.stop()


class TestCluster(BrokerSuite):
    @pytest.fixture
    async def broker(self, shared_cluster: Cluster, sink: RecordingSink) -> AsyncIterator[Broker]:
        async with opened_at(shared_cluster.url, sink) as made:
            yield made


class TestShards(BrokerSuite):
    @pytest.fixture
    async def broker(self, pair: list[Server], sink: RecordingSink) -> AsyncIterator[Broker]:
        async with opened_at(" ".join(server.url for server in pair), sink) as made:
            yield made


CHANNELS = [f"channel-{number}" for number in range(30)]


async def test_nodes_of_a_cluster_hear_each_other_on_every_primary(shared_cluster: Cluster) -> None:
    sink = RecordingSink()
    async with opened_at(shared_cluster.url, sink) as one, opened_at(shared_cluster.urls[1], RecordingSink()) as other:
        await asyncio.gather(*map(one.subscribe, CHANNELS))
        await other.publish([item for channel in CHANNELS for item in items(channel, 1, 2, 3)])
        await until(lambda: len(sink.publications) == 90)
        for channel in CHANNELS:
            assert [publication.offset for name, publication in sink.publications if name == channel] == [1, 2, 3]
        await other.send_control(b"to all")
        await until(lambda: sink.control == [b"to all"])
        assert len(await other.survey(b"who")) == 2
        assert one.trouble == other.trouble == ""


async def test_a_slot_that_moves_takes_its_channels_along(own_cluster: Cluster) -> None:
    sink = RecordingSink()
    async with opened_at(own_cluster.url, sink) as broker:
        await broker.subscribe("x")
        first = (await broker.publish(items("x", 1)))[0].position
        slot = key_slot(broker._names.state("x").encode())
        home = own_cluster.holder(broker._names.state("x"))
        target = next(each for each in own_cluster.primaries if each is not home)
        moving = asyncio.create_task(asyncio.to_thread(own_cluster.move_slot, slot, target))
        stored = [(await broker.publish(items("x", number)))[0] for number in range(2, 30)]
        await moving
        stored += await broker.publish(items("x", 30))
        assert [each.position.offset for each in stored] == list(range(2, 31))
        assert {each.position.epoch for each in stored} == {first.epoch}
        await until(lambda: sink.doubts >= 1)
        await broker.publish(items("x", 31))
        await until(lambda: sink.publications[-1][1].offset == 31)
        assert len((await broker.read_since("x", first)).publications) == 30


async def test_while_a_slot_moves_reads_follow_and_a_push_waits_until_it_is_heard(own_cluster: Cluster) -> None:
    sink = RecordingSink()
    async with opened_at(own_cluster.url, sink) as broker:
        await broker.subscribe("x")
        slot = key_slot(broker._names.state("x").encode())
        home = own_cluster.holder(broker._names.state("x"))
        target = next(each for each in own_cluster.primaries if each is not home)
        await asyncio.to_thread(own_cluster.begin_move, slot, target)
        assert await broker.read_presence("x") == {}  # the old server has no key of it, and sends on
        pushed = asyncio.create_task(broker.publish([Item("x", b"1", NOT_KEPT)]))  # what nobody hears is lost
        assert await broker.read_presence("x") == {}
        assert not pushed.done()
        await asyncio.to_thread(own_cluster.end_move, slot, home, target)
        await pushed
        await until(lambda: [publication.data for _, publication in sink.publications] == [b"1"])


async def test_a_primary_that_is_killed_is_replaced_and_heard_again(own_cluster: Cluster) -> None:
    sink = RecordingSink()
    async with opened_at(own_cluster.url, sink) as broker:
        await asyncio.gather(*map(broker.subscribe, CHANNELS))
        await broker.publish([item for channel in CHANNELS for item in items(channel, 1)])
        await until(lambda: len(sink.publications) == 30)
        await until(lambda: all(map(has_caught_up, own_cluster.primaries)))
        await asyncio.to_thread(own_cluster.kill, own_cluster.primaries[0])
        for _ in range(40):
            try:
                await broker.publish([item for channel in CHANNELS for item in items(channel, 2)])
                break
            except BrokerError:
                await asyncio.sleep(0.2)
        await until(lambda: broker.trouble == "")
        sink.publications.clear()
        await broker.publish([item for channel in CHANNELS for item in items(channel, 3)])
        await until(lambda: {channel for channel, p in sink.publications if p.data == b"3"} == set(CHANNELS))
        tops = [(await broker.read_page(channel)).position for channel in CHANNELS]
        assert min(position.offset for position in tops) >= 3


async def test_shards_share_the_channels_and_answer_as_one(pair: list[Server]) -> None:
    url = " ".join(server.url for server in pair)
    sink = RecordingSink()
    async with opened_at(url, sink) as one, opened_at(url, RecordingSink()) as other:
        await asyncio.gather(*map(one.subscribe, CHANNELS))
        await other.publish([item for channel in CHANNELS for item in items(channel, 1)])
        await until(lambda: len(sink.publications) == 30)
        for server in pair:
            with server.client() as client:
                assert len(list(client.scan_iter("*:log"))) > 5
        assert len(await one.survey(b"who")) == 2


async def test_a_shard_that_is_away_takes_only_its_own_channels_along(pair: list[Server]) -> None:
    url = " ".join(server.url for server in pair)
    async with opened_at(url, RecordingSink(), deadline=2.0) as broker:
        there = next(name for name in CHANNELS if shard_of(broker._names.state(name), 2) == 0)
        away = next(name for name in CHANNELS if shard_of(broker._names.state(name), 2) == 1)
        await asyncio.to_thread(pair[1].stop)
        await until(lambda: broker.trouble.startswith("shard 2:"))
        assert (await broker.publish(items(there, 1)))[0].position.offset == 1
        with pytest.raises(BrokerError, match="cannot be reached"):
            await broker.publish(items(away, 1))


async def test_a_shard_that_hangs_holds_up_nobody_who_pushes_to_another(pair: list[Server]) -> None:
    url = " ".join(server.url for server in pair)
    async with opened_at(url, RecordingSink(), deadline=3.0) as broker:
        there, hanging = (
            next(name for name in CHANNELS if shard_of(broker._names.state(name), 2) == shard) for shard in (0, 1)
        )
        pair[1].signal(signal.SIGSTOP)
        try:
            waiting = [asyncio.create_task(broker.publish(items(hanging, number))) for number in range(5)]
            for number in range(50):
                await broker.publish(items(there, number))
            assert not any(task.done() for task in waiting)
            with pytest.raises(Unanswered, match="not all of it was stored"):
                await broker.publish([*items(there, 50), *items(hanging, 5)])
            assert (await broker.read_page(there)).position.offset == 51
            for outcome in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(outcome, BrokerError)
        finally:
            pair[1].signal(signal.SIGCONT)


def test_one_shard_more_moves_only_what_goes_there() -> None:
    keys = [f"messageflow:{{{number}}}:state" for number in range(5_000)]
    before, after = [shard_of(key, 4) for key in keys], [shard_of(key, 5) for key in keys]
    assert {now for was, now in zip(before, after, strict=True) if was != now} == {4}
    assert all(800 < count < 1_200 for count in Counter(after).values())
    assert shard_of("messageflow:{a}:log", 7) == shard_of("messageflow:{a}:state", 7)
