"""Who gets in, with what, and what is answered to those who do not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from messageflow.brokers.memory import MemoryBroker
from messageflow.errors import BrokerError
from messageflow.hub.limits import Limits
from tests.hub.conftest import World


async def test_connect_answers_with_the_channels_of_the_server(world: World) -> None:
    connection = await world.connected("alice", channels=["open:granted"])
    result = connection.replies(1)[0]["connect"]
    assert list(result["subs"]) == ["#alice", "*", "open:granted"]
    assert (result["ping"], result["pong"], result["expires"]) == (15, True, True)
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


@pytest.mark.parametrize(("channel", "code"), [("nowhere:x", 102), ("#bob", 103), ("*", 103)])
async def test_a_token_cannot_grant_what_is_not_to_be_granted(world: World, channel: str, code: int) -> None:
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("alice", channels=[channel])}})
    await world.settle()
    assert connection.replies(1)[0]["error"]["code"] == code


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
    assert (world.hub.connecting, len(world.hub.arrivals), world.hub.sessions) == (0, 0, {})
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
    assert (world.hub.connecting, len(world.hub.arrivals), world.hub.sessions) == (0, 0, {})
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
    assert third.closed.code == 3504
    await world.hub.close()


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
    assert (hub.sessions, hub.users, hub.channels, len(hub.arrivals)) == ({}, {}, {}, 0)
    assert await world.broker.presence("open:x") == {}
    assert not any(hub.heartbeat._slots)
