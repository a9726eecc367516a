"""Who gets in, with what, and what is answered to those who do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from messageflow.brokers.memory import MemoryBroker
from messageflow.errors import BrokerError
from messageflow.hub.heartbeat_limits import HeartbeatLimits
from messageflow.hub.limits import Limits
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World


async def test_connect_answers_with_the_channels_of_the_server(world: World) -> None:
    connection = await world.connected("alice", channels=["open:granted"])
    result = connection.replies(1)[0]["connect"]
    assert list(result["subs"]) == ["#alice", "*", "open:granted"]
    assert (result["ping"], result["expires"]) == (15, True)
    assert result.get("pong", False) is not world.carrier.transport.one_way
    assert result["subs"]["#alice"]["recoverable"]


@pytest.mark.parametrize(
    ("commands", "code"),
    [
        ([{"id": 1, "connect": {}}], 3501),
        ([{"id": 1, "connect": {"token": "nonsense"}}], 3500),
        ([{"id": 1, "subscribe": {"channel": "open:x"}}], 3501),
        ([{"id": 1, "nothing": {}}], 3501),
        ([{"connect": {"token": "x"}}], 3501),
        ([{"id": 1, "connect": {}, "subscribe": {}}], 3501),
    ],
    ids=["no token", "bad token", "before connect", "unknown method", "no id", "two methods"],
)
async def test_what_ends_a_connection_at_once(world: World, commands: list[dict[str, Any]], code: int) -> None:
    connection = world.connection()
    connection.send(*commands)
    await world.settle()
    assert connection.closed is not None
    assert connection.closed.code == code


async def test_a_second_connect_ends_the_connection(world: World) -> None:
    connection = await world.connected("alice")
    connection.send({"id": 2, "connect": {"token": world.token("alice")}})
    await world.settle()
    assert connection.closed is not None
    assert connection.closed.code == 3501


async def test_an_expired_token_is_an_error_and_then_nothing_more_is_taken(world: World) -> None:
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("alice", -5)}})
    await world.settle()
    assert connection.replies(1)[0]["error"]["code"] == 109
    connection.send({"id": 2, "connect": {"token": world.token("alice")}})
    await world.settle()
    assert connection.closed is not None
    assert connection.closed.code == 3501


@pytest.mark.parametrize(("channel", "code"), [("nowhere:x", 102), ("#bob", 103), ("!revoked", 103)])
async def test_a_token_cannot_grant_what_is_not_to_be_granted(world: World, channel: str, code: int) -> None:
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("alice", channels=[channel])}})
    await world.settle()
    assert connection.replies(1)[0]["error"]["code"] == code


@pytest.mark.parametrize(
    ("user", "said", "claims", "asks"),
    [
        ("alice", {}, {}, True),
        ("alice", {"name": "messageflow-js", "version": "0.1.0"}, {}, True),
        ("alice", {"name": "js", "version": "5.8.0"}, {}, False),
        ("alice", {"name": "js", "subs": {"#alice": {}}}, {}, False),
        ("alice", {"name": "js", "subs": {"*": {"recover": True, "offset": 0, "epoch": "e"}}}, {}, True),
        ("alice", {"name": "js"}, {"channels": ["*", "open:x"]}, True),
        ("alice", {"name": "js"}, {"subs": {"*": {}}}, True),
        ("alice", {}, {"channels": ["*"]}, True),
    ],
)
async def test_an_sdk_has_everyones_channel_where_it_or_the_application_asks(
    world: World, user: str, said: dict[str, Any], claims: dict[str, Any], *, asks: bool
) -> None:
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token(user, **claims), **said}})
    await world.settle()
    subs = list(connection.replies(1)[0]["connect"]["subs"])
    assert subs == [f"#{user}", *["*"] * asks, *["open:x"] * ("open:x" in claims.get("channels", ()))]
    await world.publish("*", 1)
    assert len(connection.publications("*")) == asks


class _Unwell(MemoryBroker):
    """A broker that fails at whatever is subscribed to while `unwell`."""

    unwell = False

    async def subscribe(self, channel: str) -> None:
        if self.unwell:
            raise BrokerError("away")
        await super().subscribe(channel)


async def test_who_fails_to_connect_is_no_longer_coming_in() -> None:
    broker = _Unwell()
    world = World(broker=broker)
    await world.hub.start()
    broker.unwell = True
    for _ in range(3):
        connection = world.connection()
        connection.send({"id": 1, "connect": {"token": world.token("alice")}})
        await world.settle()
        assert connection.closed is not None
        assert connection.closed.code == 3004
    assert (world.hub.connecting, len(world.hub.unauthenticated), world.hub.sessions) == (0, 0, {})
    broker.unwell = False
    assert await world.connected("alice")
    assert world.hub.connecting == 0
    await world.close()


async def test_who_leaves_while_connecting_is_no_longer_coming_in() -> None:
    broker = _Slow()
    world = World(broker=broker)
    await world.hub.start()
    broker.slow = True
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("alice")}})
    await broker.asked.wait()
    assert world.hub.connecting == 1
    connection.lose()
    await world.settle()
    assert (world.hub.connecting, len(world.hub.unauthenticated), world.hub.sessions) == (0, 0, {})
    await world.close()


class _Slow(MemoryBroker):
    """A broker that never answers who subscribes while `slow`."""

    slow = False

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def subscribe(self, channel: str) -> None:
        if self.slow:
            self.asked.set()
            await asyncio.Event().wait()
        await super().subscribe(channel)


async def test_silence_after_the_handshake_is_stale(world: World) -> None:
    connection = world.connection()
    await world.pass_time(9)
    assert connection.closed is None
    await world.pass_time(2)
    assert connection.closed is not None
    assert connection.closed.code == 3502


async def test_one_address_may_hold_so_many_that_are_not_in_yet(world: World) -> None:
    held = [world.connection() for _ in range(200)]
    assert world.connection().session is None
    assert world.connection("10.0.0.2").session is not None
    held[0].lose()
    assert world.connection().session is not None


async def test_a_user_may_have_so_many_connections() -> None:
    world = World(Limits(connections_per_user=2))
    await world.hub.start()
    for _ in range(2):
        await world.connected("alice")
    third = world.connection()
    third.send({"id": 1, "connect": {"token": world.token("alice")}})
    await world.settle()
    assert third.closed is not None
    assert (third.closed.code, third.closed.reconnect) == (3404, True)
    await world.hub.close()


async def test_a_user_without_a_name_has_no_cap() -> None:
    world = World(Limits(connections_per_user=1))
    assert not world.hub.connections_per_user.is_reached("")


@pytest.fixture
async def capped() -> AsyncIterator[World]:
    """A hub that takes three connections of a user."""
    world = World(Limits(connections_per_user=3))
    await world.hub.start()
    yield world
    await world.hub.close()


async def coming(world: World) -> MemoryConnection:
    """Return a connection that has sent its token and may wait for a place."""
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("alice")}})
    await world.settle()
    return connection


@pytest.mark.two_way
async def test_the_oldest_that_does_not_answer_gives_way(capped: World) -> None:
    tabs = [await capped.connected("alice") for _ in range(3)]
    tabs[1].answers_pings = tabs[2].answers_pings = False
    newcomer = await coming(capped)
    await capped.pass_time(1.5)
    assert (newcomer.closed, newcomer.replies(1)) == (None, []), "they have a moment to answer"
    await capped.pass_time(1)
    assert "connect" in newcomer.replies(1)[0]
    assert [tab.closed and tab.closed.code for tab in tabs] == [None, 3012, None]
    assert tabs[1].aborted
    assert len(capped.hub.users["alice"]) == 3


async def test_one_that_takes_nothing_gives_way_unless_it_takes_again(capped: World) -> None:
    slow, stalled, _ = [await capped.connected("alice") for _ in range(3)]
    stalled.fill()
    slow.fill()
    stalled.answers_pings = slow.answers_pings = False
    newcomer = await coming(capped)
    slow.empty()
    await capped.pass_time(2.5)
    assert "connect" in newcomer.replies(1)[0]
    assert stalled.closed is not None
    assert slow.closed is None


@pytest.mark.two_way
async def test_who_answers_in_time_stays_and_the_newcomer_may_come_again(capped: World) -> None:
    tabs = [await capped.connected("alice") for _ in range(3)]
    for tab in tabs:
        tab.answers_pings = False
    newcomer = await coming(capped)
    await capped.pass_time(1)
    for tab in tabs:
        assert tab.session is not None
        tab.session.pong()
    await capped.settle()
    assert newcomer.closed is not None
    assert newcomer.closed.code == 3404
    assert not any(tab.closed for tab in tabs)


@pytest.mark.two_way
async def test_who_waits_for_a_place_has_connected_in_time() -> None:
    world = World(Limits(connections_per_user=1, heartbeat=HeartbeatLimits(connect_timeout=1.0)))
    await world.hub.start()
    tab = await world.connected("alice")
    tab.answers_pings = False
    newcomer = await coming(world)
    silent = world.connection()
    await world.pass_time(2.5)
    assert "connect" in newcomer.replies(1)[0]
    assert silent.closed is not None
    assert silent.closed.code == 3502
    await world.close()


@pytest.mark.two_way
async def test_each_newcomer_takes_one_place_and_no_more(capped: World) -> None:
    tabs = [await capped.connected("alice") for _ in range(3)]
    for tab in tabs[:2]:
        tab.answers_pings = False
    newcomers = [await coming(capped) for _ in range(3)]
    await capped.pass_time(2.5)
    assert sorted("connect" in newcomer.replies(1)[0] for newcomer in newcomers if newcomer.replies(1)) == [True] * 2
    assert [newcomer.closed.code for newcomer in newcomers if newcomer.closed] == [3404]
    assert len(capped.hub.users["alice"]) == 3


@pytest.mark.two_way
async def test_a_place_that_becomes_free_is_given_at_once(capped: World) -> None:
    tabs = [await capped.connected("alice") for _ in range(3)]
    for tab in tabs:
        tab.answers_pings = False
    newcomer = await coming(capped)
    tabs[2].lose()
    await capped.settle()
    assert "connect" in newcomer.replies(1)[0]
    assert not any(tab.closed for tab in tabs)


async def test_a_newcomer_who_leaves_while_they_wait_costs_nobody_a_place(capped: World) -> None:
    tabs = [await capped.connected("alice") for _ in range(3)]
    tabs[0].answers_pings = False
    newcomer = await coming(capped)
    newcomer.lose()
    await capped.pass_time(2.5)
    assert not any(tab.closed for tab in tabs)
    assert len(capped.hub.users["alice"]) == 3


async def test_a_token_in_use_expires_on_time_whatever_the_wall_clock_does(world: World) -> None:
    connection = await world.connected("alice", seconds=60)
    world.wall.advance(-86_400)
    await world.pass_time(59)
    assert connection.closed is None
    await world.pass_time(2)
    assert connection.closed is not None
    assert connection.closed.code == 3005


async def test_a_refresh_extends_the_connection(world: World) -> None:
    connection = await world.connected("alice", seconds=60)
    connection.send({"id": 2, "refresh": {"token": world.token("alice", 120)}})
    await world.settle()
    assert connection.replies(2)[0]["refresh"]["ttl"] == 90  # 30 seconds before the end
    await world.pass_time(100)
    assert connection.closed is None
    await world.pass_time(25)
    assert connection.closed is not None
    assert connection.closed.code == 3005


async def test_a_refresh_as_somebody_else_ends_the_connection(world: World) -> None:
    connection = await world.connected("alice")
    connection.send({"id": 2, "refresh": {"token": world.token("bob")}})
    await world.settle()
    assert connection.closed is not None
    assert connection.closed.code == 3500


@pytest.mark.two_way
async def test_a_client_that_does_not_answer_is_found_within_25_seconds(world: World) -> None:
    dead, alive = await world.connected("dead"), await world.connected("alive")
    dead.answers_pings = False
    await world.pass_time(25.5)
    assert dead.closed is not None
    assert dead.closed.code == 3012
    assert alive.closed is None


async def test_any_byte_counts_as_life(world: World) -> None:
    connection = await world.connected("alice")
    connection.answers_pings = False
    for _ in range(60):
        await world.pass_time(0.5)
        assert connection.session is not None
        connection.session.heard = True
    assert connection.closed is None


@pytest.mark.two_way
async def test_two_pings_on_a_slow_link_are_answered_by_two_pongs(world: World) -> None:
    connection = await world.connected("alice")
    connection.answers_pings = False
    assert connection.session is not None
    while connection.session.pings < 2:
        connection.session.heard = True  # it sends commands; its pongs are still on the way
        await world.pass_time(1)
    connection.session.pong()
    connection.session.pong()
    assert not connection.session.closed


@pytest.mark.two_way
async def test_a_pong_nobody_asked_for_ends_the_connection(world: World) -> None:
    connection = await world.connected("alice")
    assert connection.session is not None
    connection.session.pong()
    assert connection.closed is not None
    assert connection.closed.code == 3501


async def test_a_flood_is_refused_and_then_ended(world: World) -> None:
    connection = await world.connected("alice")
    for number in range(2, 2 * world.hub.limits.burst + 10):
        connection.send({"id": number, "presence_stats": {"channel": "open:x"}})
        await world.settle()
        if connection.closed:
            break
    assert {"code": 111, "message": "too many requests", "temporary": True} in [
        message["error"] for message in connection.written if "error" in message
    ]
    assert connection.closed is not None
    assert connection.closed.code == 3013


async def test_nothing_is_left_of_those_who_went(world: World) -> None:
    for number in range(200):
        connection = world.connection()
        connection.send(
            {"id": 1, "connect": {"token": world.token(f"user{number}")}}, {"id": 2, "subscribe": {"channel": "open:x"}}
        )
        await world.settle()
        connection.lose()
    await world.settle()
    hub = world.hub
    assert (hub.sessions, dict(hub.users), hub.channels, len(hub.unauthenticated)) == ({}, {}, {}, 0)
    assert await world.broker.read_presence("open:x") == {}
    assert not any(hub.heartbeat._slots)
