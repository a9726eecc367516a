"""A subscription that the server ends while it is on its way does not come about: nothing reaches who has no right."""

from __future__ import annotations

import asyncio

import pytest

from messageflow.core.control import SubscribeUser, UnsubscribeUser, encode_control
from tests.hub.conftest import World
from tests.hub.links import DistantBroker


@pytest.mark.parametrize("turns", range(0, 20, 2))
async def test_who_is_unsubscribed_on_his_way_in_gets_nothing(turns: int) -> None:
    world = World(broker=DistantBroker(turns=6))
    await world.hub.start()
    connection = await world.connected("alice")
    connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    for _ in range(turns):
        await asyncio.sleep(0)
    session = connection.session
    assert session is not None
    was_in = "open:x" in session.subscriptions
    await world.broker.control(encode_control(UnsubscribeUser("alice", "open:x")))
    await world.settle()
    if was_in:
        await world.publish("open:x", 1)
        assert connection.publications("open:x") == []
        assert "open:x" not in session.subscriptions
        assert "open:x" not in world.hub.channels
        assert (await world.broker.presence_stats("open:x")).clients == 0
    await world.hub.close()


@pytest.mark.parametrize("turns", range(0, 20, 2))
async def test_who_is_subscribed_again_at_once_is_in_once(turns: int) -> None:
    world = World(broker=DistantBroker(turns=6))
    await world.hub.start()
    connection = await world.connected("alice")
    connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    for _ in range(turns):
        await asyncio.sleep(0)
    await world.broker.control(encode_control(UnsubscribeUser("alice", "open:x")))
    await world.broker.control(encode_control(SubscribeUser("alice", "open:x")))
    await world.settle()
    await world.publish("open:x", 1)
    assert len(connection.publications("open:x")) == 1
    assert len(world.hub.channels["open:x"].live) == 1
    await world.hub.close()
