"""What the reference server says in cases that SDKs rarely meet: compared with its raw replies, case by case."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from messageflow.core.stream import Item
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import KEPT, SECRET, World

OPEN = "open:x"


async def subscribe(world: World, **fields: Any) -> tuple[MemoryConnection, dict[str, Any]]:
    """Return the connection and what a subscribe is answered with."""
    connection = await world.connected("alice")
    connection.send({"id": 2, "subscribe": {"channel": OPEN, **fields}})
    await world.settle()
    return connection, connection.replies(2)[0]


def pushes(connection: MemoryConnection) -> list[dict[str, Any]]:
    """Return what the server said unasked."""
    return [message["push"] for message in connection.written if "push" in message]


@pytest.mark.parametrize(("kind", "code"), [(1, 103), (2, 103), (3, 103), (4, 108)])
async def test_a_map_or_a_shared_poll_is_refused_and_never_answered_as_a_stream(
    world: World, kind: int, code: int
) -> None:
    connection, answer = await subscribe(world, type=kind, phase=2)
    assert answer["error"]["code"] == code
    assert not world.hub.channels.get(OPEN)
    connection.send({"id": 3, "subscribe": {"channel": OPEN, "type": 0}})
    await world.settle()
    assert "subscribe" in connection.replies(3)[0]


@pytest.mark.parametrize("fields", [{}, {"recover": True, "epoch": "", "offset": 0}])
async def test_the_first_subscriber_sees_its_own_join_as_the_second_does(world: World, fields: dict[str, Any]) -> None:
    first, _ = await subscribe(world, join_leave=True, **fields)
    second, _ = await subscribe(world, join_leave=True, **fields)
    await world.settle()
    joins = [[push["join"]["info"]["client"] for push in pushes(each) if "join" in push] for each in (first, second)]
    [own, others], [seconds_own] = joins
    assert own != others == seconds_own


async def test_who_did_not_ask_for_joins_sees_not_even_its_own(world: World) -> None:
    connection, _ = await subscribe(world)
    assert pushes(connection) == []


@pytest.mark.parametrize("channel", [OPEN, "bare:x"])
async def test_what_a_subscription_token_says_of_a_client_goes_with_what_it_publishes(
    world: World, channel: str
) -> None:
    said = {"sub": "alice", "channel": channel, "exp": world.wall() + 60, "info": {"seat": 4}}
    connection = await world.connected("alice")
    connection.send({"id": 2, "subscribe": {"channel": channel, "token": jwt.encode(said, SECRET, "HS256")}})
    await world.settle()
    connection.send({"id": 3, "publish": {"channel": channel, "data": 1}})
    await world.settle()
    if channel == OPEN:
        [publication] = [push["pub"] for push in pushes(connection) if "pub" in push]
        assert publication["info"]["chan_info"] == {"seat": 4}
    connection.send({"id": 4, "unsubscribe": {"channel": channel}})
    await world.settle()
    assert connection.replies(4) == [{"id": 4, "unsubscribe": {}}]


async def test_a_recovery_that_fails_is_positioned_all_the_same(world: World) -> None:
    await world.broker.publish([Item(OPEN, b"1", KEPT)])
    _, answer = await subscribe(world, recover=True, epoch="another", offset=7)
    result = answer["subscribe"]
    assert (result["positioned"], result["was_recovering"], result.get("recovered")) == (True, True, None)
    assert result["offset"] == 1


@pytest.mark.parametrize(("epoch", "offset"), [("", 99), (None, 99), ("another", 9), (None, 1), ("", 0), (None, 2)])
async def test_a_cache_gives_its_newest_wherever_the_client_stands(
    world: World, epoch: str | None, offset: int
) -> None:
    stored = (await world.publish("cache:x", 1, 2))[-1].position
    at = {"epoch": stored.epoch if epoch is None else epoch, "offset": offset}
    connection = await world.connected("alice")
    connection.send({"id": 2, "subscribe": {"channel": "cache:x", "recover": True, **at}})
    await world.settle()
    result = connection.replies(2)[0]["subscribe"]
    assert (result["recovered"], result["was_recovering"], result["offset"]) == (True, True, 2)
    has_it = (epoch, offset) == (None, 2)
    assert [each["data"] for each in result.get("publications", ())] == ([] if has_it else [2])


async def test_who_wants_to_recover_where_nothing_is_kept_is_told_that_it_wanted_to(world: World) -> None:
    connection = await world.connected("alice")
    connection.send({"id": 2, "subscribe": {"channel": "bare:x", "recover": True, "epoch": "e", "offset": 1}})
    await world.settle()
    assert connection.replies(2) == [{"id": 2, "subscribe": {"was_recovering": True}}]


@pytest.mark.parametrize("early", ["nbf", "iat"])
async def test_a_token_that_is_not_good_yet_is_asked_for_anew(world: World, early: str) -> None:
    said = {"sub": "alice", "exp": world.wall() + 600, early: world.wall() + 100}
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": jwt.encode(said, SECRET, "HS256")}})
    await world.settle()
    assert connection.replies(1)[0]["error"] == {"code": 109, "message": "token expired"}
    _, answer = await subscribe(world, token=jwt.encode({**said, "channel": OPEN}, SECRET, "HS256"))
    assert answer["error"]["code"] == 109
