"""A Redis that went back in time while nobody was watching is found out, and one that did not costs nobody anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from messageflow.brokers.redis.presence.lease import Lease
from messageflow.brokers.redis.streams import rollback_detection
from messageflow.brokers.redis.streams.witness import Seen, Witness
from messageflow.errors import BrokerError
from messageflow.testing.broker_suite import RecordingSink, until
from tests.brokers.redis.conftest import broker_at
from tests.brokers.redis.servers import Server
from tests.brokers.redis.site import LAZY, STRICT, Site, filled, is_told


@pytest.fixture(params=[LAZY, STRICT])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, request.param)
    yield made
    made.redis.stop()


@pytest.fixture(params=[LAZY])
def lazy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, request.param)
    yield made
    made.redis.stop()


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, STRICT)
    yield made
    made.redis.stop()


@pytest.mark.parametrize("remembered", [True, False])
async def test_an_older_file_is_found_out_though_all_gateways_ended(site: Site, remembered: bool) -> None:
    async with site.gateway() as broker:
        await filled(broker, *range(8))
        site.keep_file()
        seen = await filled(broker, 8, 9)
    site.restart_on_kept_file()
    site.memory = site.memory if remembered else None
    async with site.gateway() as broker:
        assert (await filled(broker, 10, 11, 12)).offset == 11
        assert await is_told(broker, seen)
        now = (await broker.read_page("x")).position
        assert now.epoch != seen.epoch
        assert len((await broker.read_page("x", limit=100)).publications) == 11  # what is there stays
    async with site.gateway() as broker:  # and it is told once
        assert not await is_told(broker, now)


async def test_an_older_file_is_found_out_by_who_reads_before_anybody_pushes(site: Site) -> None:
    async with site.gateway() as broker:
        await filled(broker, 1)
        site.keep_file()
        seen = await filled(broker, 2, 3)
        last = seen._replace(offset=1)
    site.restart_on_kept_file()
    async with site.gateway() as broker:
        assert await is_told(broker, last)  # though there is nothing after it


async def test_an_older_file_is_told_once_however_many_gateways_find_it_out(site: Site) -> None:
    own = site.memory
    async with site.gateway() as broker:
        await filled(broker, 1)
        site.keep_file()
        seen = await filled(broker, 2, 3)
    site.restart_on_kept_file()
    site.memory = None
    async with site.gateway() as other:
        position = await filled(other, 4, 5, 6)
        site.memory = own
        async with site.gateway() as broker:
            await other._ages._look()
            assert not await is_told(other, position)
            assert await is_told(broker, seen)


async def test_an_older_file_is_found_out_by_whoever_lacks_something_though_another_lacks_nothing(site: Site) -> None:
    first, second = site.memory, site.memory and site.memory.with_name("second")
    async with site.gateway() as other:
        await filled(other, 1)
    site.memory = second
    async with site.gateway() as broker:
        site.keep_file()
        seen = await filled(broker, 2, 3)
    site.restart_on_kept_file()
    site.memory = first
    async with site.gateway() as other:
        position = await filled(other, 4, 5, 6)
        assert not await is_told(other, seen)
        site.memory = second
        async with site.gateway() as broker:
            await other._ages._look()
            assert await is_told(other, position)
            assert await is_told(broker, seen)


async def test_a_restart_costs_nothing_where_all_gateways_ended_in_order(site: Site) -> None:
    async with site.gateway() as broker:
        seen = await filled(broker, 1, 2)
    site.restart()
    async with site.gateway() as broker:
        assert not await is_told(broker, seen)
    async with site.gateway() as broker:
        assert not await is_told(broker, seen)


async def test_a_start_of_gateways_alone_costs_nothing(site: Site) -> None:
    broker = await site.begin()
    seen = await filled(broker, 1, 2)
    await site.kill(broker)
    site.memory = None
    async with site.gateway() as broker:
        assert not await is_told(broker, seen)


async def test_a_restart_costs_nothing_while_a_gateway_watches(site: Site) -> None:
    site.memory = None
    async with site.gateway() as broker:
        seen = await filled(broker, 1, 2)
        with site.redis.client() as client:
            before = client.hget(broker._names.age, "lives")
            site.restart()
            await until(lambda: client.hget(broker._names.age, "lives") != before)
        async with site.gateway() as other:
            assert not await is_told(other, seen)
        assert not await is_told(broker, seen)


async def test_a_crash_of_everything_costs_nothing_where_nothing_acknowledged_is_lost(strict: Site) -> None:
    broker = await strict.begin()
    seen = await filled(broker, 1, 2)
    await strict.kill(broker)
    strict.restart()
    async with strict.gateway() as broker:
        assert not await is_told(broker, seen)


async def test_a_crash_of_everything_is_told_where_something_may_be_lost(lazy: Site) -> None:
    broker = await lazy.begin()
    seen = await filled(broker, 1, 2)
    await until(lambda: broker._witness.beat > 0)
    await lazy.kill(broker)
    lazy.restart()
    async with lazy.gateway() as broker:
        assert await is_told(broker, seen)


async def test_a_gateway_that_was_killed_beside_one_that_ended_leaves_it_open(lazy: Site) -> None:
    async with lazy.gateway() as broker:
        killed = await lazy.begin()
        seen = await filled(killed, 1, 2)
        await lazy.kill(killed)
        await filled(broker, 3)
    lazy.restart()
    async with lazy.gateway() as broker:
        assert await is_told(broker, seen)


async def test_an_older_file_is_found_out_by_a_beat_where_nothing_acknowledged_is_lost(strict: Site) -> None:
    broker = await strict.begin()
    await filled(broker, 1, 2)
    strict.keep_file()
    seen = await filled(broker, 3)
    beat = broker._witness.beat
    await until(lambda: broker._witness.beat > beat)
    await strict.kill(broker)
    strict.restart_on_kept_file()
    async with strict.gateway() as broker:
        assert await is_told(broker, seen)


async def test_a_start_that_fails_costs_nothing(strict: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(lease: Lease) -> None:
        raise BrokerError("it is full")

    async with strict.gateway() as broker:
        seen = await filled(broker, 1)
    failing = broker_at(strict.redis.url, memory=strict.memory)
    with monkeypatch.context() as patched:
        patched.setattr(Lease, "renew", fails)
        with pytest.raises(BrokerError, match="it is full"):
            await failing.start(RecordingSink())
    strict.restart()
    async with strict.gateway() as broker:
        assert not await is_told(broker, seen)


async def test_a_start_that_is_tried_again_after_it_was_closed_remembers_as_the_first(strict: Site) -> None:
    broker = await strict.begin()
    await broker.close()
    await broker.start(RecordingSink())
    assert broker._witness.remembers
    seen = await filled(broker, 1)
    await broker.close()
    strict.restart()
    async with strict.gateway() as other:
        assert not await is_told(other, seen)


async def test_an_age_that_was_deleted_is_written_again(server: Server) -> None:
    broker = broker_at(server.url)
    await broker.start(RecordingSink())
    with server.client() as client:
        before = client.hgetall(broker._names.age)
        client.flushall()
        await broker._ages._look()
        assert client.hgetall(broker._names.age) == before
    await broker.close()


async def test_a_life_that_began_without_a_lost_connection_is_noted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback_detection, "LOOK_EVERY", 0.01)
    broker = broker_at(server.url)
    await broker.start(RecordingSink())
    with server.client() as client:
        life = client.hget(broker._names.age, "lives")
        client.hset(broker._names.age, "lives", "another")
        await until(lambda: client.hget(broker._names.age, "lives") == life)
    await broker.close()


async def test_who_knows_no_age_judges_no_stream(server: Server) -> None:
    broker = broker_at(server.url)
    await broker.start(RecordingSink())
    broker._streams.age = 7
    position = await filled(broker, 1)
    broker._streams.age = 0  # as a flow has it
    assert await filled(broker, 2) == (await broker.read_page("x")).position
    assert (await broker.read_page("x")).position.epoch == position.epoch
    broker._streams.age = 8
    assert (await filled(broker, 3)).epoch != position.epoch
    await broker.close()


def test_what_processes_left_is_judged_once(tmp_path: Path) -> None:
    left, living = Witness(tmp_path, "left"), Witness(tmp_path, "living")
    assert left.open() == living.open() == []
    left.write(Seen("left", 4, True, False), synced=True)
    left.close()
    (tmp_path / "broken.seen").write_text("{")
    following = Witness(tmp_path, "following")
    assert following.open() == [None, Seen("left", 4, True, False)]
    following.discard_judged()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["following.seen", "living.seen"]
    assert json.loads((tmp_path / "living.seen").read_text()) == {
        "node": "living",
        "beat": 0,
        "all": False,
        "durable": False,
    }
    following.close()
    living.close()


def test_a_place_that_cannot_be_written_remembers_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    witness = Witness(tmp_path / "file" / "below", "node")
    assert witness.open() == []
    assert not witness.remembers
    witness.write(Seen("node", 1))
    witness.close()
