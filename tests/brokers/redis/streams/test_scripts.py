"""What the scripts leave in Redis: how long it lives, what counts as kept, whom a node may take out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis

from messageflow.brokers.redis.broker import RedisBroker
from messageflow.brokers.redis.presence.presence_store import PRESENT_LIFE, Gone
from messageflow.brokers.redis.streams.rollback_detection import LifeVerdict
from messageflow.brokers.redis.streams.stream_store import STATE_LIFE
from messageflow.core.client_info import ClientInfo
from messageflow.core.stream import Item, Retention
from messageflow.errors import Unrecoverable
from messageflow.testing.broker_suite import items
from tests.brokers.redis.conftest import Opened, Server

MINUTE, DAY = 60, 86_400
SLACK = 30  # seconds that a test may take
ALICE = ClientInfo("alice", "a")


@pytest.fixture
async def broker(opened: Opened, server: Server) -> AsyncIterator[RedisBroker]:
    async with opened(server) as made:
        yield made


@pytest.fixture
def client(server: Server) -> Iterator[Redis]:
    with server.client() as made:
        yield made


def kept_for(seconds: float) -> Retention:
    return Retention(100, seconds)


def lives(client: Redis, key: str) -> float:
    """Return the seconds that a key has to live."""
    found: int = client.pttl(key)
    return found / 1000


async def test_history_lives_twice_its_time_and_its_position_a_month(broker: RedisBroker, client: Redis) -> None:
    await broker.publish(items("x", 1, retention=kept_for(MINUTE)))
    assert 2 * MINUTE - SLACK < lives(client, broker._names.log("x")) <= 2 * MINUTE
    assert STATE_LIFE - SLACK < lives(client, broker._names.state("x")) <= STATE_LIFE


async def test_a_position_lives_as_long_as_a_history_that_is_longer(broker: RedisBroker, client: Redis) -> None:
    await broker.publish(items("x", 1, retention=kept_for(40 * DAY)))
    assert lives(client, broker._names.state("x")) > 80 * DAY - SLACK


async def test_the_life_of_a_busy_channel_is_renewed_once_in_its_time(broker: RedisBroker, client: Redis) -> None:
    state, log = broker._names.state("x"), broker._names.log("x")
    await broker.publish(items("x", 1, retention=kept_for(10 * MINUTE)))
    assert 0 < float(client.hget(state, "renew") or 0) - time.time() <= 10 * MINUTE
    for key in (state, log):
        client.expire(key, MINUTE)
    await broker.publish(items("x", 2, retention=kept_for(10 * MINUTE)))
    assert max(lives(client, state), lives(client, log)) <= MINUTE  # it is not yet time
    client.hset(state, "renew", int(time.time()) - 1)
    await broker.publish(items("x", 3, retention=kept_for(10 * MINUTE)))
    assert lives(client, log) > 20 * MINUTE - SLACK
    assert lives(client, state) > STATE_LIFE - SLACK
    assert float(client.hget(state, "renew") or 0) > time.time()


async def test_another_time_of_a_channel_holds_at_once(broker: RedisBroker, client: Redis) -> None:
    await broker.publish(items("x", 1, retention=kept_for(MINUTE)))
    await broker.publish(items("x", 2, retention=kept_for(10 * MINUTE)))
    assert lives(client, broker._names.log("x")) > 20 * MINUTE - SLACK


async def test_a_channel_that_was_only_read_is_forgotten_after_a_month(broker: RedisBroker, client: Redis) -> None:
    await broker.read_page("x")
    assert STATE_LIFE - SLACK < lives(client, broker._names.state("x")) <= STATE_LIFE


async def test_an_idempotency_key_lives_as_long_as_its_window(opened: Opened, server: Server, client: Redis) -> None:
    async with opened(server, idempotency_window=50.0) as broker:
        await broker.publish([Item("x", b"1", kept_for(MINUTE), key="k")])
        assert 50 - SLACK < lives(client, broker._names.key("x", "k")) <= 50


async def test_what_is_too_old_is_not_given_though_it_is_still_there(broker: RedisBroker, client: Redis) -> None:
    stored = [each.position for each in await broker.publish(items("x", 1, 2, 3))]
    client.hset(broker._names.state("x"), "ttl", "0")
    for reverse in (False, True):
        assert (await broker.read_page("x", limit=9, reverse=reverse)).publications == []
    with pytest.raises(Unrecoverable):
        await broker.read_since("x", stored[0])
    assert (await broker.read_since("x", stored[2])).publications == []


async def test_old_and_new_are_told_apart_within_a_page(broker: RedisBroker, client: Redis) -> None:
    await broker.publish(items("x", 1, 2, 3, 4))
    log = broker._names.log("x")
    kept: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(log)  # type: ignore[assignment]
    entries = [(entry, fields[b"m"]) for entry, fields in kept]
    aged = [(entry, message.replace(message.split(b" ")[3], b"1.0", 1)) for entry, message in entries]
    client.delete(log)
    for entry, message in (*aged[:2], *entries[2:]):
        client.xadd(log, {"m": message}, id=entry)
    assert [p.offset for p in (await broker.read_page("x", limit=1)).publications] == [3]
    assert [p.offset for p in (await broker.read_page("x", limit=9, reverse=True)).publications] == [4, 3]


async def test_presence_lives_an_hour_from_the_last_entry(broker: RedisBroker, client: Redis) -> None:
    await broker.join("x", ALICE, keep=True, tell=False)
    for key in (broker._names.present("x"), broker._names.users("x")):
        assert PRESENT_LIFE - SLACK < lives(client, key) <= PRESENT_LIFE


async def test_who_is_entered_twice_counts_once(broker: RedisBroker, client: Redis) -> None:
    for _ in range(2):
        await broker._presence_store.enter("node", [("x", ALICE)])
    assert client.hgetall(broker._names.users("x")) == {b"alice": b"1"}
    assert await broker._presence_store.exit([Gone("node", "x", ALICE)] * 2) == [True, False]
    assert not client.exists(broker._names.users("x"), broker._names.present("x"))


async def test_nobody_is_taken_out_for_another_node(broker: RedisBroker) -> None:
    await broker._presence_store.enter("node-10", [("x", ALICE)])
    assert await broker._presence_store.exit([Gone("node-1", "x", ALICE), Gone("node", "x", ALICE)]) == [False, False]
    assert await broker.count_presence("x") == (1, 1)
    assert await broker._presence_store.exit([Gone("node-10", "x", ALICE)]) == [True]


async def test_a_lease_that_was_over_was_not_good(broker: RedisBroker, client: Redis) -> None:
    registry = broker._presence_store
    assert not (await registry.renew("new", 20)).good
    assert (await registry.renew("new", 20)).good
    client.zadd(broker._names.nodes, {"new": time.time() - 1})
    assert "new" in (await registry.list_nodes()).dead
    found = await registry.renew("new", 20)
    assert not found.good
    assert "new" in found.live - found.dead


async def test_an_age_is_never_given_out_twice(broker: RedisBroker, client: Redis) -> None:
    later = int(time.time() * 1000) + 10**9
    client.hset(broker._names.age, "age", later)  # of a clock that was ahead
    await broker._ages._agree(["another"], LifeVerdict.LOST)
    assert broker._streams.age == later + 1
