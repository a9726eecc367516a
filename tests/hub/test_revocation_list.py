"""Revoked tokens: refused wherever one is shown, and no session goes on that stands on one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from messageflow.brokers.base import HistoryPart
from messageflow.core.channels import REVOKED
from messageflow.core.revocations import Revocation, encode_revocation
from messageflow.core.stream import Item, Retention
from messageflow.errors import BrokerError
from messageflow.hub import revocation_list
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import WALL, World
from tests.hub.links import DistantBroker

RETENTION = Retention(100_000, 86_460)


@pytest.fixture
async def broker() -> DistantBroker:
    return DistantBroker()


@pytest.fixture(autouse=True)
def no_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation_list, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(revocation_list, "LONGEST_DELAY", 0.0)


def item(user: str, before: float) -> Item:
    return Item(REVOKED, encode_revocation(Revocation(user, before)), RETENTION)


async def revoke(world: World, user: str, before: float = WALL) -> None:
    await world.broker.publish([item(user, before)])
    await world.settle()


async def answer(world: World, token: str) -> Any:
    """Return what a client is answered that connects with this token."""
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": token}})
    await world.settle()
    return connection.replies(1)[0]


def codes(connections: list[MemoryConnection]) -> list[int]:
    return [connection.closed.code if connection.closed else 0 for connection in connections]


def subscription_token(world: World, channel: str, **claims: Any) -> str:
    return world.token("alice", channel=channel, **claims)


async def test_all_connections_of_the_user_end_and_nobody_elses(world: World) -> None:
    connections = [
        await world.connected("alice", iat=WALL - 100),
        await world.connected("alice", iat=WALL - 0.001),
        await world.connected("alice"),
        await world.connected("alicia", iat=WALL - 100),
    ]
    await revoke(world, "alice")
    assert codes(connections) == [3005, 3005, 3005, 0]
    assert list(world.hub.users) == ["alicia"]


async def test_a_revoked_token_is_answered_as_an_expired_one_and_a_fresh_one_is_let_in(world: World) -> None:
    await revoke(world, "alice")
    for claims in ({"iat": WALL - 0.001}, {}, {"iat": None}):
        assert (await answer(world, world.token("alice", **claims)))["error"]["code"] == 109
    assert "connect" in await answer(world, world.token("alice", iat=WALL))
    assert "connect" in await answer(world, world.token("bob"))


async def test_a_session_with_a_token_made_since_stays(world: World) -> None:
    connection = await world.connected("alice", iat=WALL)
    await revoke(world, "alice")
    assert connection.closed is None
    await revoke(world, "alice", WALL - 50)
    assert connection.closed is None


async def test_a_refresh_counts_by_the_token_it_brings(world: World) -> None:
    connection = await world.connected("alice", iat=WALL - 100)
    connection.send({"id": 2, "refresh": {"token": world.token("alice", iat=WALL)}})
    await world.settle()
    await revoke(world, "alice")
    assert connection.closed is None
    connection.send({"id": 3, "refresh": {"token": world.token("alice", iat=WALL - 1)}})
    await world.settle()
    assert codes([connection]) == [3005]


async def test_a_revoked_subscription_token_is_refused(world: World) -> None:
    connection = await world.connected("alice", iat=WALL)
    await revoke(world, "alice")
    for number, (name, made) in enumerate([("closed:x", WALL - 1), ("closed:x", WALL)], 2):
        token = subscription_token(world, name, iat=made)
        connection.send({"id": number, "subscribe": {"channel": name, "token": token}})
    await world.settle()
    assert connection.replies(2)[0]["error"]["code"] == 109
    assert "subscribe" in connection.replies(3)[0]
    token = subscription_token(world, "closed:x", iat=WALL - 1)
    connection.send({"id": 4, "sub_refresh": {"channel": "closed:x", "token": token}})
    await world.settle()
    assert connection.replies(4)[0]["error"]["code"] == 110


async def test_a_session_ends_too_when_only_the_token_of_a_subscription_is_revoked(world: World) -> None:
    connections = [await world.connected("alice", iat=WALL) for _ in range(2)]
    for connection in connections:
        token = subscription_token(world, "closed:x", iat=WALL - 1)
        connection.send({"id": 2, "subscribe": {"channel": "closed:x", "token": token}})
    token = subscription_token(world, "closed:x", iat=WALL)
    connections[1].send({"id": 3, "sub_refresh": {"channel": "closed:x", "token": token}})
    await world.settle()
    await revoke(world, "alice")
    assert codes(connections) == [3005, 0]


@pytest.mark.parametrize("turns", range(0, 24, 2))
async def test_at_whatever_moment_of_a_connect_it_comes_no_session_is_left(turns: int) -> None:
    world = World(broker=DistantBroker(turns=6))
    await world.hub.start()
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("alice", iat=WALL - 1)}})
    await turn(turns)
    await revoke(world, "alice")
    refused = [reply for reply in connection.replies(1) if reply.get("error", {}).get("code") == 109]
    assert refused or codes([connection]) == [3005]
    assert (dict(world.hub.users), world.hub.channels) == ({}, {})
    await world.hub.close()


@pytest.mark.parametrize("turns", range(0, 16, 2))
async def test_at_whatever_moment_of_a_subscribe_it_comes_no_session_is_left(turns: int) -> None:
    world = World(broker=DistantBroker(turns=6))
    await world.hub.start()
    connection = await world.connected("alice", iat=WALL)
    token = subscription_token(world, "closed:x", iat=WALL - 1)
    connection.send({"id": 2, "subscribe": {"channel": "closed:x", "token": token}})
    await turn(turns)
    await revoke(world, "alice")
    refused = [reply for reply in connection.replies(2) if reply.get("error", {}).get("code") == 109]
    assert refused or codes([connection]) == [3005]
    assert "closed:x" not in world.hub.channels
    await world.hub.close()


async def turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


@pytest.mark.parametrize("count", [1, revocation_list.CHUNK, 2 * revocation_list.CHUNK + 7])
async def test_what_was_revoked_before_a_worker_started_holds_there(count: int) -> None:
    first = World()
    await first.hub.start()
    await first.broker.publish([item(f"user{number}", WALL) for number in range(count)])
    second = World(broker=first.broker)
    await second.hub.start()
    for user in ("user0", f"user{count - 1}"):
        assert (await answer(second, second.token(user, iat=WALL - 1)))["error"]["code"] == 109
    assert "connect" in await answer(second, second.token("nobody", iat=WALL - 1))
    await second.hub.close()
    await first.hub.close()


async def test_what_was_lost_on_the_way_is_read_when_the_next_one_comes(world: World, broker: DistantBroker) -> None:
    connections = [await world.connected(user) for user in ("alice", "bob", "carol")]
    broker.link.lose = 2
    await revoke(world, "alice")
    await revoke(world, "bob")
    assert codes(connections) == [0, 0, 0]
    await revoke(world, "carol")
    assert codes(connections) == [3005] * 3


async def test_what_was_lost_is_read_in_doubt_however_often_that_fails(world: World, broker: DistantBroker) -> None:
    connections = [await world.connected(user) for user in ("alice", "bob")]
    await revoke(world, "bob")
    broker.link.lose = 1
    await revoke(world, "alice")
    broker.failing = 3
    world.hub.on_doubt()
    await world.settle()
    assert codes(connections) == [3005, 3005]
    reads = len(broker.reads)
    await revoke(world, "bob", WALL + 1)
    assert len(broker.reads) == reads, "it stands where the stream does"


async def test_a_stream_that_began_anew_is_read_from_its_beginning(world: World, broker: DistantBroker) -> None:
    connections = [await world.connected(user) for user in ("alice", "bob", "carol")]
    await revoke(world, "bob")
    broker.link.lose = 1
    broker._streams._streams.clear()
    broker._streams.epoch = "another life"
    await revoke(world, "alice")
    await revoke(world, "carol")
    assert codes(connections) == [3005] * 3
    assert (await answer(world, world.token("bob")))["error"]["code"] == 109  # known all the same


async def test_what_comes_late_or_twice_changes_nothing(world: World, broker: DistantBroker) -> None:
    broker.link.holding = True
    for user in ("alice", "bob", "alice"):
        await revoke(world, user, WALL - 10)
    held = list(broker.link.held)
    broker.link.release(list.reverse)
    await world.settle()
    connection = await world.connected("alice", iat=WALL - 5)
    for each in held:
        world.hub.on_publication(*each)
    assert connection.closed is None
    assert (await answer(world, world.token("bob", iat=WALL - 11)))["error"]["code"] == 109


async def test_garbage_is_passed_over(world: World) -> None:
    for data in (b"[]", b'{"user":1}', b"null"):
        await world.broker.publish([Item(REVOKED, data, RETENTION)])
    connection = await world.connected("alice")
    await revoke(world, "alice")
    assert codes([connection]) == [3005]


async def test_a_revocation_stands_as_long_as_a_token_may_live(world: World) -> None:
    await revoke(world, "alice")
    world.wall.advance(86_400 + 59)
    assert (await answer(world, world.token("alice")))["error"]["code"] == 109
    world.wall.advance(1)
    assert "connect" in await answer(world, world.token("alice"))


async def test_a_worker_that_cannot_read_them_does_not_start(broker: DistantBroker) -> None:
    class Unreadable(DistantBroker):
        async def read_page(self, *_: Any, **__: Any) -> HistoryPart:
            raise BrokerError("it is told to fail")

    unreadable = Unreadable()
    world = World(broker=unreadable)
    with pytest.raises(BrokerError):
        await world.hub.start()
    with pytest.raises(BrokerError, match="not running"):
        await unreadable.publish([item("alice", WALL)])


@pytest.mark.parametrize("method", ["subscribe", "publish", "history", "presence", "presence_stats"])
async def test_no_client_can_name_the_channel(world: World, method: str) -> None:
    connection = await world.connected("alice")
    await revoke(world, "bob")
    command: dict[str, Any] = {"channel": REVOKED} | ({"data": {}} if method == "publish" else {})
    connection.send({"id": 2, method: command})
    await world.settle()
    assert connection.replies(2)[0]["error"]["code"] == 102


@pytest.mark.parametrize("claims", [{"channels": [REVOKED]}, {"subs": {REVOKED: {}}}])
async def test_no_token_can_grant_the_channel(world: World, claims: dict[str, Any]) -> None:
    assert (await answer(world, world.token("alice", **claims)))["error"]["code"] == 103
