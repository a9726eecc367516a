"""The official Python client, centrifuge-python, connects and works unchanged, with JSON and with Protobuf."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from centrifuge import (
    Client,
    ClientEventHandler,
    ReplyError,
    StreamPosition,
    Subscription,
    SubscriptionEventHandler,
)

from messageflow import Flow
from tests.support import TOKEN_SECRET, Running


class Heard(ClientEventHandler, SubscriptionEventHandler):  # type: ignore[misc]
    """Puts everything it is told into a queue, as (what, context)."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        async def note(ctx: Any) -> None:
            self.events.put_nowait((name.removeprefix("on_"), ctx))

        return note

    async def wait(self, what: str) -> Any:
        """Return the context of the next event of this name, passing others over."""
        async with asyncio.timeout(10):
            while True:
                name, context = await self.events.get()
                if name == what:
                    return context


class Peer:
    """A connected client and what it heard."""

    def __init__(self, gateway: Running, flow: Flow, user: str, *, protobuf: bool, **claims: Any) -> None:
        self.heard = Heard()
        self.protobuf = protobuf

        async def get_token() -> str:
            return flow.token(user, **claims)

        self.client = Client(gateway.websocket, events=self.heard, get_token=get_token, use_protobuf=protobuf)

    def pack(self, data: Any) -> Any:
        return json.dumps(data).encode() if self.protobuf else data

    def unpack(self, data: Any) -> Any:
        return json.loads(data) if self.protobuf else data

    def subscription(self, channel: str) -> tuple[Subscription, Heard]:
        heard = Heard()
        return self.client.new_subscription(channel, events=heard), heard


async def ended(client: Client) -> None:
    """Disconnect, and wait for the closing handshake, which the client leaves to a task of its own."""
    await client.disconnect()
    async with asyncio.timeout(10):
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


@pytest.fixture(params=[False, True], ids=["json", "protobuf"])
def protobuf(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def alice(gateway: Running, flow: Flow, protobuf: bool) -> AsyncIterator[Peer]:
    peer = Peer(gateway, flow, "alice", protobuf=protobuf, channels=["news"])
    await peer.client.connect()
    await peer.heard.wait("connected")
    yield peer
    await ended(peer.client)


async def test_a_push_arrives_as_a_server_side_publication(alice: Peer, flow: Flow) -> None:
    receipt = await asyncio.to_thread(flow.push, "alice", "report/ready", {"id": 7})
    context = await alice.heard.wait("publication")
    assert context.channel == "#alice"
    assert alice.unpack(context.pub.data) == {"type": "report/ready", "payload": {"id": 7}}
    assert context.pub.offset == receipt.offset


async def test_a_channel_of_the_token_is_subscribed_by_the_server(alice: Peer, flow: Flow) -> None:
    await asyncio.to_thread(flow.publish, "news", {"headline": "yes"})
    context = await alice.heard.wait("publication")
    assert (context.channel, alice.unpack(context.pub.data)) == ("news", {"headline": "yes"})


async def test_subscribe_publish_history_presence_and_leave(alice: Peer, flow: Flow) -> None:
    subscription, heard = alice.subscription(f"open:room-{alice.protobuf}")
    await subscription.subscribe()
    await heard.wait("subscribed")
    for number in range(3):
        await subscription.publish(alice.pack({"n": number}))
        assert alice.unpack((await heard.wait("publication")).pub.data) == {"n": number}
    history = await subscription.history(limit=2, reverse=True)
    assert [alice.unpack(p.data) for p in history.publications] == [{"n": 2}, {"n": 1}]
    older = await subscription.history(limit=10, since=StreamPosition(offset=1, epoch=history.epoch))
    assert [p.offset for p in older.publications] == [2, 3]
    presence = await subscription.presence()
    assert [info.user for info in presence.clients.values()] == ["alice"]
    stats = await subscription.presence_stats()
    assert (stats.num_clients, stats.num_users) == (1, 1)
    await subscription.unsubscribe()
    await heard.wait("unsubscribed")
    assert await asyncio.to_thread(flow.presence, subscription.channel) == {}


async def test_joins_and_leaves_of_others_are_told(alice: Peer, gateway: Running, flow: Flow) -> None:
    subscription, heard = alice.subscription("open:lobby")
    await subscription.subscribe()
    await heard.wait("subscribed")
    bob = Peer(gateway, flow, "bob", protobuf=not alice.protobuf)
    await bob.client.connect()
    his, his_heard = bob.subscription("open:lobby")
    await his.subscribe()
    await his_heard.wait("subscribed")
    while (await heard.wait("join")).info.user != "bob":
        pass
    await bob.client.disconnect()
    assert (await heard.wait("leave")).info.user == "bob"


async def test_what_was_published_while_away_is_recovered(alice: Peer, flow: Flow) -> None:
    subscription, heard = alice.subscription(f"open:recovered-{alice.protobuf}")
    await subscription.subscribe()
    await heard.wait("subscribed")
    await asyncio.to_thread(flow.publish, subscription.channel, 1)
    await heard.wait("publication")
    await asyncio.to_thread(flow.disconnect, "alice", code=3011, reason="force reconnect")
    await alice.heard.wait("connecting")
    await asyncio.to_thread(flow.publish, subscription.channel, 2)
    again = await heard.wait("subscribed")
    assert again.was_recovering
    assert again.recovered
    assert alice.unpack((await heard.wait("publication")).pub.data) == 2


async def test_what_is_not_for_it_is_passed_over_and_what_follows_is_recovered(alice: Peer, flow: Flow) -> None:
    subscription, heard = alice.subscription(f"open:excluded-{alice.protobuf}")
    await subscription.subscribe()
    await heard.wait("subscribed")
    me = next(iter((await subscription.presence()).clients))
    for data, exclude in ((1, None), (2, me), (3, None), (4, me)):
        await asyncio.to_thread(flow.publish, subscription.channel, data, exclude=exclude)
    assert [alice.unpack((await heard.wait("publication")).pub.data) for _ in range(2)] == [1, 3]
    await asyncio.to_thread(flow.disconnect, "alice", code=3011, reason="force reconnect")
    await alice.heard.wait("connecting")
    await asyncio.to_thread(flow.publish, subscription.channel, 5)
    again = await heard.wait("subscribed")
    assert (again.was_recovering, again.recovered) == (True, True)
    assert [alice.unpack((await heard.wait("publication")).pub.data) for _ in range(2)] == [
        4,
        5,
    ]  # it cannot say that it was the one


async def test_what_is_not_allowed_is_refused_with_its_code(alice: Peer) -> None:
    with pytest.raises(ReplyError) as rpc:
        await alice.client.rpc("method", alice.pack({}))
    assert rpc.value.code == 108
    with pytest.raises(ReplyError) as publish:
        await alice.client.publish("news", alice.pack({}))
    assert publish.value.code == 103
    subscription, heard = alice.subscription("#bob")
    await subscription.subscribe()
    assert (await heard.wait("unsubscribed")).code == 103


async def test_bytes_that_are_no_json_are_bytes_in_protobuf_and_json_to_others(
    alice: Peer, gateway: Running, flow: Flow
) -> None:
    subscription, heard = alice.subscription(f"open:bytes-{alice.protobuf}")
    await subscription.subscribe()
    await heard.wait("subscribed")
    peer = Peer(gateway, flow, "bob", protobuf=True)
    await peer.client.connect()
    await peer.client.publish(subscription.channel, b"\x00\xff")
    expected = b"\x00\xff" if alice.protobuf else {"$bytes": "AP8="}
    assert (await heard.wait("publication")).pub.data == expected
    [kept] = (await subscription.history(limit=1)).publications
    assert kept.data == expected
    await peer.client.disconnect()


async def test_an_expired_token_is_fetched_anew(gateway: Running, flow: Flow, protobuf: bool) -> None:
    expired = jwt.encode({"sub": "alice", "exp": int(time.time()) - 5}, TOKEN_SECRET, "HS256")
    tokens = [expired, flow.token("alice")]
    heard = Heard()

    async def get_token() -> str:
        return tokens.pop(0)

    client = Client(gateway.websocket, events=heard, get_token=get_token, use_protobuf=protobuf)
    await client.connect()
    await heard.wait("connected")
    assert tokens == []
    await ended(client)
