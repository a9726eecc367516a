"""Subscriptions a client asks for, tokens for them, what may be read, and what the server decides about users."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import pytest

from messageflow.core import control
from messageflow.core.claims import SubscribeOptions
from messageflow.core.protocol import StreamPosition
from messageflow.core.stream import Item, Retention
from messageflow.errors import BrokerError
from messageflow.hub.limits import Limits
from tests.hub.conftest import SECRET, World


def subscription_token(world: World, channel: str, user: str = "alice", seconds: float = 60, **claims: Any) -> str:
    claims = {"sub": user, "channel": channel, "exp": world.wall() + seconds, **claims}
    return jwt.encode(claims, SECRET, "HS256")


async def answer(world: World, commands: dict[str, Any], user: str = "alice") -> dict[str, Any]:
    """Return what one command of a connected client is answered with."""
    connection = await world.connected(user)
    connection.send({"id": 2, **commands})
    await world.settle()
    assert connection.closed is None, connection.closed
    return connection.replies(2)[0]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"subscribe": {"channel": "nowhere:x"}}, 102),
        ({"subscribe": {"channel": "closed:x"}}, 103),
        ({"subscribe": {"channel": "#alice"}}, 105),
        ({"subscribe": {"channel": "#bob"}}, 103),
        ({"subscribe": {"channel": "open:x", "token": "nonsense"}}, 103),
        ({"unsubscribe": {"channel": "#alice"}}, 103),
        ({"publish": {"channel": "closed:x", "data": 1}}, 103),
        ({"publish": {"channel": "#alice", "data": 1}}, 103),
        ({"publish": {"channel": "open:x"}}, 107),
        ({"publish": {"channel": "nowhere:x", "data": 1}}, 102),
        ({"history": {"channel": "bare:x"}}, 108),
        ({"history": {"channel": "closed:x"}}, 103),
        ({"history": {"channel": "open:x", "limit": 1, "since": {"offset": 1, "epoch": "another"}}}, 112),
        ({"presence": {"channel": "closed:x"}}, 108),
        ({"presence_stats": {"channel": "nowhere:x"}}, 102),
        ({"rpc": {"method": "m"}}, 108),
        ({"ping": {}}, 108),
        ({"sub_refresh": {"channel": "open:x", "token": "t"}}, 103),
    ],
)
async def test_a_command_that_is_not_allowed_is_refused_with_its_code(
    world: World, command: dict[str, Any], code: int
) -> None:
    assert (await answer(world, command))["error"]["code"] == code


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"subscribe": {"channel": ""}}, 3501),
        ({"subscribe": {"channel": "open:x", "delta": "unheard of"}}, 3501),
        ({"refresh": {}}, 3501),
        ({"sub_refresh": {"channel": "open:x"}}, 3501),
    ],
)
async def test_a_command_that_makes_no_sense_ends_the_connection(
    world: World, command: dict[str, Any], code: int
) -> None:
    connection = await world.connected("alice")
    connection.send({"id": 2, **command})
    await world.settle()
    assert connection.closed is not None
    assert connection.closed.code == code


async def test_subscribing_twice_is_refused_and_leaving_what_was_never_joined_is_not(world: World) -> None:
    connection = await world.subscribed("alice", "open:x")
    connection.send({"id": 3, "subscribe": {"channel": "open:x"}}, {"id": 4, "unsubscribe": {"channel": "open:other"}})
    await world.settle()
    assert connection.replies(3)[0]["error"]["code"] == 105
    assert connection.replies(4)[0] == {"id": 4, "unsubscribe": {}}


async def test_a_connection_holds_so_many_channels() -> None:
    world = World(Limits(channels_per_connection=4))  # two are the server's
    await world.hub.start()
    connection = await world.connected("alice")
    connection.send(*[{"id": n, "subscribe": {"channel": f"open:{n}"}} for n in (2, 3, 4)])
    await world.settle()
    assert connection.replies(4)[0]["error"]["code"] == 106
    await world.hub.close()


# Rights reach no further than the name admits


SECRETS = ("$open:secret", "limited:pair#bob,carol", "$limited:pair#alice", "#bob", "*")
VERBS: dict[str, dict[str, Any]] = {
    "history": {"limit": 10},
    "presence": {},
    "presence_stats": {},
    "publish": {"data": "hello"},
}


@pytest.mark.parametrize("channel", SECRETS)
@pytest.mark.parametrize("verb", VERBS)
async def test_who_may_not_subscribe_may_do_nothing_else_there(world: World, channel: str, verb: str) -> None:
    await world.publish(channel, 1)
    reply = await answer(world, {verb: {"channel": channel, **VERBS[verb]}}, user="mallory")
    assert reply["error"]["code"] in (103, 108)
    assert (await world.broker.read_page(channel)).position.offset == 1


@pytest.mark.parametrize("channel", SECRETS)
async def test_nobody_subscribes_where_the_name_keeps_them_out(world: World, channel: str) -> None:
    reply = await answer(world, {"subscribe": {"channel": channel}}, user="mallory")
    assert reply["error"]["code"] in (103, 105)  # 105: everybody holds `*`, by the server's decision


@pytest.mark.parametrize("channel", SECRETS[:3])
@pytest.mark.parametrize("verb", VERBS)
async def test_who_was_given_a_token_may_do_there_what_subscribers_may(world: World, channel: str, verb: str) -> None:
    token = subscription_token(world, channel, "mallory")
    connection = await world.subscribed("mallory", channel, token=token)
    connection.send({"id": 3, verb: {"channel": channel, **VERBS[verb]}})
    connection.send({"id": 4, "unsubscribe": {"channel": channel}}, {"id": 5, verb: {"channel": channel, "data": 1}})
    await world.settle()
    assert verb in connection.replies(3)[0]
    assert connection.replies(5)[0]["error"]["code"] == 103


async def test_a_user_listed_in_a_name_may_do_there_what_every_client_may(world: World) -> None:
    for verb, fields in VERBS.items():
        reply = await answer(world, {verb: {"channel": "limited:pair#bob,carol", **fields}}, user="carol")
        assert verb in reply


# What is wrong with one command is answered to that command


@pytest.mark.native
async def test_a_command_with_wrong_data_costs_its_neighbours_nothing(world: World) -> None:
    connection = await world.subscribed("alice", "open:x")
    assert connection.session is not None
    lines = [
        rb'{"id":3,"publish":{"channel":"open:x","data":"before"}}',
        rb'{"id":4,"publish":{"channel":"open:x","data":"well done \ud83d"}}',
        rb'{"id":5,"publish":{"channel":["open:x"],"data":1}}',
        rb'{"send":{"data":NaN}}',
        rb'{"id":6,"publish":{"channel":"open:x","data":1e999}}',
        rb'{"id":7,"publish":{"channel":"open:x","data":"after"}}',
    ]
    message = b"\n".join(lines)
    connection.session.receive(message)
    await world.settle()
    assert connection.closed is None
    assert [p["data"] for p in connection.publications("open:x")] == ["before", "after"]
    refused = [connection.replies(number)[0]["error"] for number in (4, 5, 6)]
    assert [error["code"] for error in refused] == [107] * 3
    assert "middle of a character" in refused[0]["message"]
    assert "Expected `str`, got `array`" in refused[1]["message"]
    assert "number is larger" in refused[2]["message"]
    assert not connection.replies(0), "a message without an id has no answer"


async def test_a_connection_that_is_not_in_yet_is_forgiven_nothing(world: World) -> None:
    for line in (b'{"id":1,"connect":{"token":5}}', b'{"id":1,"publish":{"channel":5}}'):
        connection = world.connection()
        assert connection.session is not None
        connection.session.receive(line)
        await world.settle()
        assert connection.closed is not None
        assert connection.closed.code == 3501


async def test_a_message_for_no_application_is_dropped_and_costs_nobody_the_connection(world: World) -> None:
    connection = await world.subscribed("alice", "open:x")
    connection.send({"send": {"data": {"a": 1}}}, {"id": 4, "send": {"data": 1}})
    await world.publish("open:x", 1)
    assert connection.closed is None
    assert connection.replies(4)[0]["error"]["code"] == 108
    assert len(connection.publications("open:x")) == 1
    assert world.hub.counters.messages_dropped == 2


# Subscription tokens


async def test_a_token_opens_a_channel_that_is_closed(world: World) -> None:
    for channel in ("closed:x", "$closed:x"):
        token = subscription_token(world, channel)
        reply = await answer(world, {"subscribe": {"channel": channel, "token": token}})
        assert reply["subscribe"]["expires"]


@pytest.mark.parametrize("claims", [{"channel": "closed:other"}, {"sub": "bob"}, {"client": "another"}])
async def test_the_token_of_another_ends_the_connection(world: World, claims: dict[str, str]) -> None:
    connection = await world.connected("alice")
    everything: dict[str, Any] = {"channel": "closed:x", **claims}
    token = subscription_token(world, **everything)
    connection.send({"id": 2, "subscribe": {"channel": "closed:x", "token": token}})
    await world.settle()
    assert connection.closed is not None
    assert connection.closed.code == 3500


async def test_an_expired_token_is_said_to_be_and_an_expired_subscription_ends(world: World) -> None:
    old = subscription_token(world, "closed:x", seconds=-5)
    reply = await answer(world, {"subscribe": {"channel": "closed:x", "token": old}})
    assert reply["error"]["code"] == 109
    connection = await world.subscribed("alice", "closed:x", token=subscription_token(world, "closed:x"))
    connection.send({"id": 3, "sub_refresh": {"channel": "closed:x", "token": old}})
    await world.settle()
    assert connection.replies(3)[0]["error"]["code"] == 110
    await world.pass_time(61)
    assert connection.closed is None
    ended = [m["push"]["unsubscribe"]["code"] for m in connection.written if "unsubscribe" in m.get("push", {})]
    assert ended == [2501]


async def test_a_refreshed_subscription_goes_on(world: World) -> None:
    connection = await world.subscribed("alice", "closed:x", token=subscription_token(world, "closed:x"))
    refreshed = subscription_token(world, "closed:x", seconds=600)
    connection.send({"id": 3, "sub_refresh": {"channel": "closed:x", "token": refreshed}})
    await world.settle()
    await world.pass_time(120)
    assert connection.replies(3)[0]["sub_refresh"]["expires"]
    await world.publish("closed:x", 1)
    assert [p["data"] for p in connection.publications("closed:x")] == [1]


# Presence


async def test_those_who_asked_are_told_who_comes_and_goes(world: World) -> None:
    watching = await world.subscribed("watching", "open:x", join_leave=True)
    other = await world.subscribed("other", "open:x")
    other.lose()
    await world.settle()
    pushes = [message.get("push", {}) for message in watching.written]
    told = [(kind, push[kind]["info"]["user"]) for push in pushes for kind in ("join", "leave") if kind in push]
    assert told[-2:] == [("join", "other"), ("leave", "other")]
    assert not [m for m in other.written if "join" in m.get("push", {})]


async def test_what_a_client_publishes_carries_who_it_was(world: World) -> None:
    connection = await world.subscribed("alice", "open:x")
    connection.send({"id": 3, "publish": {"channel": "open:x", "data": {"a": 1}}})
    await world.settle()
    (publication,) = connection.publications("open:x")
    assert (publication["data"], publication["info"]["user"]) == ({"a": 1}, "alice")


async def test_a_client_that_repeats_a_publish_with_its_key_stores_one_copy(world: World) -> None:
    reader = await world.subscribed("reader", "open:x")
    first = await world.connected("alice")
    command = {"channel": "open:x", "data": 1, "idempotency_key": "k"}
    first.send({"id": 2, "publish": command})
    first.lose()
    await world.settle()
    again = await world.connected("alice")
    again.send({"id": 2, "publish": command})
    again.send({"id": 3, "publish": command | {"data": 2, "idempotency_key": "l"}})
    await world.settle()
    assert again.replies(2) == [{"id": 2, "publish": {}}]
    assert [p["data"] for p in reader.publications("open:x")] == [1, 2]


@pytest.mark.parametrize(("user", "key"), [("bob", "k"), ("alice:", "k"), ("alice", "K")])
async def test_nobody_s_key_is_another_s(world: World, user: str, key: str) -> None:
    reader = await world.subscribed("reader", "open:x")
    for name, text, data in (("alice", "k", 1), (user, key, 2)):
        connection = await world.connected(name)
        connection.send({"id": 2, "publish": {"channel": "open:x", "data": data, "idempotency_key": text}})
        await world.settle()
    assert [p["data"] for p in reader.publications("open:x")] == [1, 2]


async def test_no_client_takes_a_key_of_the_application(world: World) -> None:
    reader = await world.subscribed("reader", "open:x")
    connection = await world.connected("alice")
    connection.send({"id": 2, "publish": {"channel": "open:x", "data": 1, "idempotency_key": "order-7"}})
    await world.settle()
    await world.broker.publish([Item("open:x", b"2", Retention(10, 60), "order-7")])
    await world.settle()
    assert [p["data"] for p in reader.publications("open:x")] == [1, 2]


async def test_a_key_without_end_is_refused_by_itself(world: World) -> None:
    connection = await world.connected("alice")
    connection.send({"id": 2, "publish": {"channel": "open:x", "data": 1, "idempotency_key": "k" * 129}})
    connection.send({"id": 3, "publish": {"channel": "open:x", "data": 1, "idempotency_key": "k" * 128}})
    await world.settle()
    assert connection.replies(2)[0]["error"]["code"] == 107
    assert connection.replies(3) == [{"id": 3, "publish": {}}]


# What the server decides


async def decide(world: World, message: control.Control) -> None:
    await world.broker.send_control(control.encode_control(message))
    await world.settle()


async def test_a_disconnect_spares_those_it_names(world: World) -> None:
    first, second = await world.connected("alice"), await world.connected("alice")
    assert second.session is not None
    await decide(world, control.DisconnectUser("alice", spare=frozenset({second.session.client})))
    assert first.closed is not None
    assert first.closed.code == 3503
    assert second.closed is None


async def test_the_server_subscribes_from_a_position_on_and_unsubscribes(world: World) -> None:
    stored = await world.publish("closed:x", 1, 2, 3)
    connection = await world.connected("alice")
    since = StreamPosition(1, stored[0].position.epoch)
    await decide(world, control.SubscribeUser("alice", "closed:x", options=SubscribeOptions(), since=since))
    await world.publish("closed:x", 4)
    assert [p["data"] for p in connection.publications("closed:x")] == [2, 3, 4]
    await decide(world, control.UnsubscribeUser("alice", ""))
    await world.publish("closed:x", 5)
    await world.publish("#alice", 6)
    assert [p["data"] for p in connection.publications("closed:x")] == [2, 3, 4]
    assert [p["data"] for p in connection.publications("#alice")] == [6]


async def test_the_server_extends_or_ends_a_connection(world: World) -> None:
    connection = await world.connected("alice", seconds=60)
    await decide(world, control.RefreshUser("alice", expires_at=world.wall() + 600))
    assert connection.written[-1] == {"push": {"refresh": {"expires": True, "ttl": 570}}}
    await world.pass_time(61)
    assert connection.closed is None
    await decide(world, control.RefreshUser("alice", expired=True))
    assert connection.closed is not None
    assert connection.closed.code == 3005


async def test_a_control_message_that_is_garbage_is_passed_over(world: World) -> None:
    connection = await world.connected("alice")
    await world.broker.send_control(b"garbage")
    await world.settle()
    assert connection.closed is None


async def test_a_channel_that_cannot_be_opened_is_asked_for_once_by_all_who_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[asyncio.Future[None]] = []

    async def subscribe(channel: str) -> None:
        asked.append(asyncio.get_running_loop().create_future())
        await asked[-1]

    connections = [await world.connected(f"user-{number}") for number in range(4)]
    monkeypatch.setattr(world.broker, "subscribe", subscribe)
    for connection in connections:
        connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    await world.settle()
    connections[0].lose()  # the first to come leaves: the next asks
    await world.settle()
    assert len(asked) == 2
    asked[1].set_exception(BrokerError("it is told to fail"))
    await world.settle()
    assert len(asked) == 2
    assert [connection.replies(2)[0]["error"]["code"] for connection in connections[1:]] == [100] * 3
    connections[1].send({"id": 3, "subscribe": {"channel": "open:x"}})
    await world.settle()
    asked[2].set_result(None)
    await world.settle()
    assert "subscribe" in connections[1].replies(3)[0]
