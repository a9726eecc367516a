"""All who publish, gateways and flows, agree on the age of streams, whatever is deleted: a new stream has one epoch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from messageflow import AsyncFlow
from messageflow.brokers.redis.broker import RedisBroker
from messageflow.brokers.redis.streams import rollback_detection
from messageflow.brokers.redis.streams.rollback_detection import LifeVerdict
from messageflow.core.redis_publishing_rules import RedisPublishingRules
from messageflow.core.stream import Position
from messageflow.testing.broker_suite import RecordingSink, items, until
from tests.brokers.redis.conftest import broker_at
from tests.brokers.redis.servers import Cluster, Server
from tests.brokers.redis.site import LAZY, Site, filled, is_told
from tests.redis_publisher.conftest import NAMESPACES, leave_rules

RULES = RedisPublishingRules.of(NAMESPACES, size_limit=1000, idempotency_window=60.0)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site whose gateways look at the age when the test says so."""
    monkeypatch.setattr(rollback_detection, "LOOK_EVERY", 600.0)
    made = Site(tmp_path, LAZY)
    yield made
    made.redis.stop()


async def begin_age(broker: RedisBroker) -> None:
    """Let a gateway find that something is gone."""
    before = broker._streams.age
    await broker._ages._agree(["another life"], LifeVerdict.LOST)
    await broker._ages.agree_again(await broker._inspect_again())
    assert broker._streams.age > before


def flush(server: Server) -> None:
    with server.client() as client:
        client.flushall()


@asynccontextmanager
async def flow_to(server: Server) -> AsyncIterator[AsyncFlow]:
    leave_rules(server)
    async with AsyncFlow(f"{server.url}?client_name=flow") as flow:
        yield flow


def cut_flows(server: Server) -> None:
    """Close the connections of flows, so that they make new ones."""
    with server.client() as client:
        for each in client.client_list():
            if each["name"] == "flow":
                client.client_kill_filter(_id=each["id"])


async def pushed(flow: AsyncFlow, data: int) -> Position:
    receipt = await flow.publish("x", data)
    assert receipt.epoch is not None
    return Position(receipt.epoch, receipt.offset, receipt.tag or "")


async def test_a_stream_has_one_epoch_whoever_begins_it_after_everything_was_deleted(site: Site) -> None:
    async with site.gateway() as first:
        await begin_age(first)
        flush(site.redis)
        async with site.gateway() as second:
            position = await filled(second, 1)
            assert not await is_told(first, position)
            assert await filled(first, 2) == (await second.read_page("x")).position
            assert not await is_told(second, position)


async def test_a_gateway_brings_back_the_age_that_was_deleted(site: Site) -> None:
    site.memory = None
    async with site.gateway() as first:
        await begin_age(first)
        flush(site.redis)
        await first._ages._look()
        position = await filled(first, 1)
        async with site.gateway() as second:
            assert second._streams.age == first._streams.age
            assert not await is_told(second, position)


async def test_a_gateway_brings_back_the_age_that_an_older_file_has_not(site: Site) -> None:
    site.memory = None
    async with site.gateway() as first:
        site.keep_file()
        await begin_age(first)
        lives = first._ages._lives
        site.restart_on_kept_file()
        await until(lambda: first._ages._lives != lives)
        position = await filled(first, 1)
        async with site.gateway() as second:
            assert second._streams.age == first._streams.age
            assert not await is_told(second, position)
            assert await filled(second, 2) == (await first.read_page("x")).position
            assert not await is_told(first, position)


async def test_a_look_brings_back_an_age_that_is_lower_than_was_known(site: Site) -> None:
    async with site.gateway() as first:
        await begin_age(first)
        with site.redis.client() as client:
            client.hset(first._names.age, "age", 1)
            await first._ages._look()
            assert int(client.hget(first._names.age, "age") or 0) == first._streams.age


async def test_a_gateway_that_is_started_anew_after_everything_was_deleted_resets_nothing_that_began_since(
    site: Site,
) -> None:
    async with site.gateway() as first:
        second = await site.begin()
        await filled(second, 1)
        await second._ages.beat()
        await site.kill(second)
        flush(site.redis)
        await first._ages._look()
        position = await filled(first, 2)
        async with site.gateway() as second:  # the beat of its forerunner is gone
            assert not await is_told(second, position)
            assert not await is_told(first, position)


async def test_an_older_file_is_still_found_out_after_everything_was_deleted(site: Site) -> None:
    site.memory = None
    async with site.gateway() as broker:
        await begin_age(broker)
        flush(site.redis)
        await broker._ages._look()
        await filled(broker, 1)
        site.keep_file()
        seen = await filled(broker, 2, 3)
    site.restart_on_kept_file()
    async with site.gateway() as broker:
        assert (await filled(broker, 4, 5, 6)).offset == 4
        assert await is_told(broker, seen)


async def test_a_redis_without_any_word_of_its_lives_is_not_trusted(site: Site) -> None:
    async with site.gateway() as broker:
        await filled(broker, 1)
        with site.redis.client() as client:
            client.delete(broker._names.age)
            site.keep_file()
        seen = await filled(broker, 2, 3)
    site.memory = None
    site.restart_on_kept_file()
    async with site.gateway() as broker:
        assert (await filled(broker, 4, 5, 6)).offset == 4
        assert await is_told(broker, seen)


async def test_a_stream_that_a_flow_begins_has_one_epoch(site: Site) -> None:
    async with site.gateway() as broker, flow_to(site.redis) as flow:
        await begin_age(broker)
        position = await pushed(flow, 1)
        assert not await is_told(broker, position)
        assert (await filled(broker, 2)).epoch == position.epoch
        assert (await pushed(flow, 3)).epoch == position.epoch


async def test_a_flow_that_outlives_what_was_deleted_begins_streams_in_the_age_of_gateways(site: Site) -> None:
    async with site.gateway() as broker, flow_to(site.redis) as flow:
        await begin_age(broker)
        await pushed(flow, 1)
        flush(site.redis)
        position = await pushed(flow, 2)
        assert position.offset == 1
        assert not await is_told(broker, position)
        assert (await filled(broker, 3)).epoch == position.epoch


async def test_a_flow_that_looks_again_where_everything_was_deleted_keeps_the_age_it_knows(site: Site) -> None:
    async with site.gateway() as broker, flow_to(site.redis) as flow:
        await begin_age(broker)
        await pushed(flow, 1)
        flush(site.redis)
        leave_rules(site.redis)
        cut_flows(site.redis)
        await flow.publish("y", 2)  # by a new connection, after which it looks
        position = await pushed(flow, 3)
        assert not await is_told(broker, position)


async def test_a_flow_that_outlives_an_older_file_learns_the_age_that_was_begun(site: Site) -> None:
    site.memory = None
    async with flow_to(site.redis) as flow:
        async with site.gateway() as broker:
            await pushed(flow, 1)
            await filled(broker, 2)
            site.keep_file()
            seen = await pushed(flow, 3)
        site.restart_on_kept_file()
        async with site.gateway() as broker:
            await pushed(flow, 4)  # by a new connection, after which it looks
            assert await is_told(broker, seen)
            position = await pushed(flow, 5)
            assert not await is_told(broker, position)
            with site.redis.client() as client:
                client.delete(broker._names.state("x"))
            position = await pushed(flow, 6)
            assert position.offset == 1
            assert not await is_told(broker, position)
            assert (await filled(broker, 7)).epoch == position.epoch


async def test_a_flow_reads_the_age_wherever_it_lies_in_a_cluster(shared_cluster: Cluster) -> None:
    broker = broker_at(shared_cluster.url)
    await broker.start(RecordingSink())
    try:
        await begin_age(broker)
        with shared_cluster.holder("messageflow:rules").client() as client:
            client.set("messageflow:rules", RULES.to_json())
        async with AsyncFlow(shared_cluster.url) as flow:
            for number in range(12):
                receipt = await flow.publish(f"channel-{number}", 1)
                [stored] = await broker.publish(items(f"channel-{number}", 2))
                assert stored.position.epoch == receipt.epoch
    finally:
        await broker.close()
