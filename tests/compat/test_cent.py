"""The official API client, cent, works unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import cent
import pytest

from messageflow import Flow
from tests.compat.test_centrifuge_python import Peer
from tests.support import API_KEY, Running


@pytest.fixture
def api(gateway: Running) -> Iterator[cent.Client]:
    client = cent.Client(f"{gateway.url}/api", api_key=API_KEY)
    yield client
    client._session.close()


@pytest.fixture
async def bob(gateway: Running, flow: Flow) -> AsyncIterator[Peer]:
    peer = Peer(gateway, flow, "bob", protobuf=False)
    await peer.client.connect()
    await peer.heard.wait("connected")
    yield peer
    await peer.client.disconnect()


def test_publish_answers_with_a_position(api: cent.Client) -> None:
    first = api.publish(cent.PublishRequest(channel="open:cent", data={"n": 1}))
    second = api.publish(cent.PublishRequest(channel="open:cent", data={"n": 2}))
    assert (second.offset, second.epoch) == (first.offset + 1, first.epoch)


def test_a_repeated_key_is_stored_once(api: cent.Client) -> None:
    request = cent.PublishRequest(channel="open:once", data=1, idempotency_key="a-key")
    assert api.publish(request).offset == api.publish(request).offset == 1


def test_broadcast_answers_for_each_channel(api: cent.Client) -> None:
    answer = api.broadcast(cent.BroadcastRequest(channels=["open:a", "nowhere:b", "open:c"], data={"n": 1}))
    assert [response.error.code if response.error else 0 for response in answer.responses] == [0, 102, 0]


def test_history_is_read_and_removed(api: cent.Client) -> None:
    for number in range(3):
        api.publish(cent.PublishRequest(channel="open:history", data=number, tags={"k": "v"}))
    history = api.history(cent.HistoryRequest(channel="open:history", limit=2, reverse=True))
    assert [(p.offset, p.data) for p in history.publications] == [(3, 2), (2, 1)]
    since = cent.StreamPosition(offset=2, epoch=history.epoch)
    assert [
        p.offset for p in api.history(cent.HistoryRequest(channel="open:history", limit=9, since=since)).publications
    ] == [3]
    api.history_remove(cent.HistoryRemoveRequest(channel="open:history"))
    assert api.history(cent.HistoryRequest(channel="open:history", limit=9)).publications == []


def test_refusals_carry_their_code(api: cent.Client) -> None:
    for request, code in (
        (cent.PublishRequest(channel="nowhere:x", data=1), 102),
        (cent.PublishRequest(channel="", data=1), 107),
    ):
        with pytest.raises(cent.CentApiResponseError) as refused:
            api.publish(request)
        assert refused.value.code == code
    with pytest.raises(cent.CentApiResponseError) as unavailable:
        api.presence(cent.PresenceRequest(channel="plain"))
    assert unavailable.value.code == 108


def test_a_wrong_key_is_unauthorized(gateway: Running) -> None:
    client = cent.Client(f"{gateway.url}/api", api_key="wrong")
    with pytest.raises(cent.CentUnauthorizedError):
        client.publish(cent.PublishRequest(channel="open:x", data=1))
    client._session.close()


def test_a_batch_answers_in_order(api: cent.Client) -> None:
    answer = api.batch(
        cent.BatchRequest(
            requests=[
                cent.PublishRequest(channel="open:batch", data=1),
                cent.PublishRequest(channel="open:batch", data=2),
                cent.HistoryRequest(channel="open:batch", limit=5),
            ]
        )
    )
    first, second, history = (reply.model_dump() for reply in answer.replies)
    assert (first["offset"], second["offset"]) == (1, 2)
    assert [p["data"] for p in history["publications"]] == [1, 2]


async def test_a_user_is_subscribed_seen_unsubscribed_and_disconnected(api: cent.Client, bob: Peer) -> None:
    await asyncio.to_thread(api.subscribe, cent.SubscribeRequest(user="bob", channel="open:his"))
    assert (await bob.heard.wait("subscribed")).channel in ("open:his", "#bob", "*")
    presence = await asyncio.to_thread(api.presence, cent.PresenceRequest(channel="open:his"))
    assert [info.user for info in presence.presence.values()] == ["bob"]
    stats = await asyncio.to_thread(api.presence_stats, cent.PresenceStatsRequest(channel="open:his"))
    assert (stats.num_clients, stats.num_users) == (1, 1)
    channels = await asyncio.to_thread(api.channels, cent.ChannelsRequest(pattern="open:h*"))
    assert channels.channels["open:his"].num_clients == 1
    info = await asyncio.to_thread(api.info, cent.InfoRequest())
    assert info.nodes[0].num_clients >= 1
    await asyncio.to_thread(api.unsubscribe, cent.UnsubscribeRequest(user="bob", channel="open:his"))
    assert (await bob.heard.wait("unsubscribed")).channel == "open:his"
    await asyncio.to_thread(api.disconnect, cent.DisconnectRequest(user="bob"))
    assert (await bob.heard.wait("disconnected")).code == 3503
