"""A subscription that the server ends while it is on its way does not come about: nothing reaches who has no right."""

from __future__ import annotations

import asyncio

import pytest

from messageflow.core.control import SubscribeUser, UnsubscribeUser, encode_control
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.hub.links import DistantBroker


@pytest.fixture
async def broker() -> DistantBroker:
    return DistantBroker(turns=6)


@pytest.fixture(params=range(0, 20, 2))
async def coming(request: pytest.FixtureRequest, world: World) -> MemoryConnection:
    """Somebody on his way into a channel, after so many turns of the event loop."""
    connection = await world.connected("alice")
    connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    for _ in range(request.param):
        await asyncio.sleep(0)
    return connection


async def test_who_is_unsubscribed_on_his_way_in_gets_nothing(world: World, coming: MemoryConnection) -> None:
    session = coming.session
    assert session is not None
    was_in = session.is_in("open:x")
    await world.broker.send_control(encode_control(UnsubscribeUser("alice", "open:x")))
    await world.settle()
    if was_in:
        await world.publish("open:x", 1)
        assert coming.publications("open:x") == []
        assert not session.is_in("open:x")
        assert "open:x" not in world.hub.channels
        assert (await world.broker.count_presence("open:x")).clients == 0


async def test_who_is_subscribed_again_at_once_is_in_once(world: World, coming: MemoryConnection) -> None:
    await world.broker.send_control(encode_control(UnsubscribeUser("alice", "open:x")))
    await world.broker.send_control(encode_control(SubscribeUser("alice", "open:x")))
    await world.settle()
    await world.publish("open:x", 1)
    assert len(coming.publications("open:x")) == 1
    assert len(world.hub.channels["open:x"].live) == 1
