"""The claim `allow`: what a token lets a client do in channels that the options of their namespaces do not."""

from __future__ import annotations

from typing import Any

import pytest

from messageflow.core.channels import REVOKED
from messageflow.core.revocations import Revocation, encode_revocation
from messageflow.core.stream import Item, Publication, Retention
from messageflow.hub.hooks import AuthorizeAnswer, AuthorizeQuestion, ConnectAnswer, ConnectQuestion, Hooks
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.hub.links import DistantBroker

ALL_VERBS = "=subscribe,publish,history,presence"


async def ask(world: World, connection: MemoryConnection, command: dict[str, Any], number: int = 7) -> int:
    """Return the error code of a command, 0 where it was carried out."""
    connection.send({"id": number, **command})
    await world.settle()
    reply = connection.replies(number)[-1]
    return int(reply["error"]["code"]) if "error" in reply else 0


def ended(connection: MemoryConnection) -> list[tuple[str, int]]:
    """Return the channels whose subscriptions the server ended, and the codes."""
    pushes = [message["push"] for message in connection.written if "push" in message]
    return [(push["channel"], push["unsubscribe"]["code"]) for push in pushes if "unsubscribe" in push]


COMMANDS: dict[str, dict[str, Any]] = {
    "subscribe": {"subscribe": {"channel": "closed:x"}},
    "publish": {"publish": {"channel": "closed:x", "data": 1}},
    "history": {"history": {"channel": "closed:x"}},
}


@pytest.mark.parametrize("verb", COMMANDS)
async def test_a_verb_is_allowed_and_no_other(world: World, verb: str) -> None:
    connection = await world.connected("alice", allow=[f"closed:*={verb}"])
    assert {each: await ask(world, connection, command) for each, command in COMMANDS.items()} == {
        each: 0 if each == verb else 103 for each in COMMANDS
    }


async def test_without_a_verb_it_is_to_subscribe_in_any_channel_of_the_pattern(world: World) -> None:
    connection = await world.connected("alice", allow=["closed:*"])
    assert await ask(world, connection, {"subscribe": {"channel": "closed:1"}}) == 0
    assert await ask(world, connection, {"subscribe": {"channel": "closed:2"}}) == 0
    assert await ask(world, connection, {"publish": {"channel": "closed:1", "data": 1}}) == 103
    await world.publish("closed:2", 5)
    assert [m["push"]["pub"]["data"] for m in connection.written if "pub" in m.get("push", ())] == [5]


@pytest.mark.parametrize("channel", ["#bob", "#alice", "*", "!revoked", "$closed:x", "nowhere:x"])
async def test_a_star_opens_nothing_that_is_not_to_be_opened(world: World, channel: str) -> None:
    connection = await world.connected("alice", allow=[f"*{ALL_VERBS}"])
    commands: list[dict[str, Any]] = [
        {"publish": {"channel": channel, "data": 1}},
        {"history": {"channel": channel}},
        {"subscribe": {"channel": channel}},
    ]
    for command in commands:
        assert await ask(world, connection, command) in (102, 103, 105)


async def test_other_users_get_nothing_of_it(world: World) -> None:
    await world.connected("alice", allow=["closed:*"])
    assert await ask(world, await world.connected("bob"), COMMANDS["subscribe"]) == 103


async def test_at_a_refresh_the_newer_token_decides(world: World) -> None:
    connection = await world.connected("alice", allow=["closed:*", f"open:*{ALL_VERBS}"])
    for number, channel in enumerate(("closed:1", "closed:2", "open:1")):
        assert await ask(world, connection, {"subscribe": {"channel": channel}}, 10 + number) == 0
    token = world.token("alice", allow=["closed:2", "closed:3=history"])
    assert await ask(world, connection, {"refresh": {"token": token}}, 20) == 0
    assert ended(connection) == [("closed:1", 2000)]  # open:1 is open to everybody
    assert await ask(world, connection, {"subscribe": {"channel": "closed:1"}}, 21) == 103
    assert await ask(world, connection, {"history": {"channel": "closed:3"}}, 22) == 0
    await world.publish("closed:1", 5)
    assert not any("pub" in message.get("push", ()) for message in connection.written)


async def test_a_refresh_without_it_takes_it_back(world: World) -> None:
    connection = await world.connected("alice", allow=["closed:*"])
    assert await ask(world, connection, COMMANDS["subscribe"]) == 0
    assert await ask(world, connection, {"refresh": {"token": world.token("alice")}}, 8) == 0
    assert ended(connection) == [("closed:x", 2000)]


async def test_a_refresh_lets_be_what_stands_on_a_subscription_token(world: World) -> None:
    connection = await world.connected("alice", allow=["closed:*"])
    token = world.token("alice", channel="closed:x")
    assert await ask(world, connection, {"subscribe": {"channel": "closed:x", "token": token}}) == 0
    assert await ask(world, connection, {"refresh": {"token": world.token("alice")}}, 8) == 0
    assert ended(connection) == []


@pytest.mark.parametrize("allow", [["a*b"], ["#bob"], ["news:*=read"], [7], "news:*", ["n:*"] * 101])
async def test_a_token_that_allows_what_cannot_be_is_no_token(world: World, allow: object) -> None:
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("alice", allow=allow)}})
    await world.settle()
    assert connection.closed is not None
    assert connection.closed.code == 3500


async def test_the_application_is_asked_for_what_the_token_does_not_allow_and_for_nothing_else() -> None:
    asked: list[tuple[str, str]] = []

    async def authorize(question: AuthorizeQuestion) -> AuthorizeAnswer:
        asked.append((question.verb, question.channel))
        return AuthorizeAnswer(allowed=question.channel == "closed:hook")

    world = World(hooks=Hooks(authorize=authorize))
    await world.hub.start()
    connection = await world.connected("alice", allow=["closed:token"])
    assert await ask(world, connection, {"subscribe": {"channel": "closed:token"}}, 2) == 0
    assert await ask(world, connection, {"subscribe": {"channel": "closed:hook"}}, 3) == 0
    assert await ask(world, connection, {"subscribe": {"channel": "closed:neither"}}, 4) == 103
    assert await ask(world, connection, {"history": {"channel": "closed:token"}}, 5) == 103
    assert asked == [("subscribe", "closed:hook"), ("subscribe", "closed:neither"), ("history", "closed:token")]
    await world.close()


async def revoke(world: World, user: str = "alice", **what: str) -> None:
    revocation = Revocation(user, world.wall(), **what)
    await world.broker.publish([Item(REVOKED, encode_revocation(revocation), Retention(1000, 86_460))])
    await world.settle()


async def test_a_revoked_right_ends_at_once_and_all_others_stay(world: World) -> None:
    old = world.wall() - 10
    connection = await world.connected("alice", iat=old, allow=["closed:*=subscribe,history", "open:*=history"])
    for number, channel in enumerate(("closed:a1", "closed:b", "open:a")):
        assert await ask(world, connection, {"subscribe": {"channel": channel}}, 10 + number) == 0
    await revoke(world, channels="closed:a*")
    assert ended(connection) == [("closed:a1", 2000)]
    assert connection.closed is None
    for number, channel in enumerate(("closed:a1", "closed:a2", "closed:c")):
        refused = 0 if channel == "closed:c" else 103
        assert await ask(world, connection, {"subscribe": {"channel": channel}}, 20 + number) == refused
        assert await ask(world, connection, {"history": {"channel": channel}}, 30 + number) == refused
    await world.publish("closed:a1", 5)
    assert not connection.publications("closed:a1")


async def test_a_right_that_a_newer_token_gives_is_not_revoked(world: World) -> None:
    connection = await world.connected("alice", iat=world.wall() - 10, allow=["closed:*"])
    await revoke(world, channels="closed:*")
    assert await ask(world, connection, COMMANDS["subscribe"]) == 103
    newer = world.token("alice", iat=world.wall(), allow=["closed:*"])
    assert await ask(world, connection, {"refresh": {"token": newer}}, 8) == 0
    assert await ask(world, connection, COMMANDS["subscribe"], 9) == 0


async def test_a_revoked_right_ends_what_a_subscription_token_gave_too(world: World) -> None:
    old = world.wall() - 10
    connection = await world.connected("alice", iat=world.wall())
    token = world.token("alice", channel="closed:x", iat=old)
    assert await ask(world, connection, {"subscribe": {"channel": "closed:x", "token": token}}) == 0
    await revoke(world, channels="closed:*")
    assert ended(connection) == [("closed:x", 2000)]
    assert await ask(world, connection, {"subscribe": {"channel": "closed:x", "token": token}}, 8) == 109
    newer = world.token("alice", channel="closed:x", iat=world.wall())
    assert await ask(world, connection, {"subscribe": {"channel": "closed:x", "token": newer}}, 9) == 0


async def test_a_revoked_right_ends_what_the_server_subscribed_to_and_is_not_given_again(world: World) -> None:
    old = world.wall() - 10
    connection = await world.connected("alice", iat=old, channels=["closed:x", "open:x"])
    await revoke(world, channels="closed:*")
    assert ended(connection) == [("closed:x", 2000)]
    again = await world.connected("alice", iat=old, channels=["closed:x", "open:x"])
    assert set(again.replies(1)[0]["connect"]["subs"]) == {"#alice", "*", "open:x"}


async def test_a_right_to_every_channel_is_none_to_ones_own(world: World) -> None:
    connection = await world.connected("alice", iat=world.wall() - 10)
    await revoke(world, channels="*")
    assert ended(connection) == []
    again = await world.connected("alice", iat=world.wall() - 10)
    assert set(again.replies(1)[0]["connect"]["subs"]) == {"#alice", "*"}


async def test_a_revoked_token_ends_its_own_connections_alone(world: World) -> None:
    phone = await world.connected("alice", jti="phone")
    desk = await world.connected("alice", jti="desk")
    nameless = await world.connected("alice")
    bob = await world.connected("bob", jti="phone")
    await revoke(world, token="phone")
    assert phone.closed is not None
    assert phone.closed.code == 3005
    assert [each.closed for each in (desk, nameless, bob)] == [None] * 3
    refused = world.connection()
    refused.send({"id": 1, "connect": {"token": world.token("alice", jti="phone")}})
    await world.settle()
    assert refused.replies(1)[0]["error"]["code"] == 109
    desk.send({"id": 5, "refresh": {"token": world.token("alice", jti="phone")}})
    await world.settle()
    assert desk.closed is not None
    assert desk.closed.code == 3005


async def test_after_a_refresh_a_connection_stands_on_the_newer_token(world: World) -> None:
    connection = await world.connected("alice", jti="first")
    assert await ask(world, connection, {"refresh": {"token": world.token("alice", jti="second")}}) == 0
    await revoke(world, token="first")
    assert connection.closed is None
    await revoke(world, token="second")
    assert connection.closed is not None


async def test_a_revoked_subscription_token_ends_its_subscription_alone(world: World) -> None:
    connection = await world.connected("alice", jti="connection")
    for number in (1, 2):
        token = world.token("alice", channel=f"closed:{number}", jti=f"token{number}")
        channel = {"channel": f"closed:{number}", "token": token}
        assert await ask(world, connection, {"subscribe": channel}, 10 + number) == 0
    await revoke(world, token="token1")
    assert ended(connection) == [("closed:1", 2501)]
    assert connection.closed is None
    token = world.token("alice", channel="closed:1", jti="token1")
    assert await ask(world, connection, {"subscribe": {"channel": "closed:1", "token": token}}, 20) == 109


async def test_what_is_on_its_way_in_when_its_right_is_revoked_does_not_come_in() -> None:
    broker = DistantBroker()
    world = World(broker=broker)
    await world.hub.start()
    connection = await world.connected("alice", iat=world.wall() - 10, allow=["closed:*"])
    broker.gate.clear()
    connection.send({"id": 7, "subscribe": {"channel": "closed:x"}})
    await world.settle()
    world.hub.revocation_list._apply(
        Publication(1, "", 0.0, encode_revocation(Revocation("alice", world.wall(), channels="closed:*")))
    )
    broker.gate.set()
    await world.settle()
    assert connection.replies(7)[0]["error"]["code"] == 103
    assert "closed:x" not in world.hub.channels
    await world.close()


async def greeted(*allow: str) -> World:
    """Return a hub whose application gives everybody these rights."""

    async def connect(question: ConnectQuestion) -> ConnectAnswer:
        return ConnectAnswer(user=question.client.user or "guest", allow=allow)

    world = World(hooks=Hooks(connect=connect))
    await world.hub.start()
    return world


async def test_the_application_gives_rights_at_the_connect_in_the_words_of_a_token() -> None:
    world = await greeted("closed:*" + ALL_VERBS)
    with_token = await world.connected("alice", allow=["short:*"])
    without = world.connection()
    without.send({"id": 1, "connect": {}})
    await world.settle()
    for connection in (with_token, without):
        codes = [await ask(world, connection, command, number) for number, command in enumerate(COMMANDS.values(), 10)]
        assert codes == [0] * len(COMMANDS)
    assert await ask(world, with_token, {"subscribe": {"channel": "short:x"}}, 30) == 0
    await world.close()


async def test_what_the_application_gave_outlives_the_token_and_not_a_revocation() -> None:
    world = await greeted("closed:*")
    alice = await world.connected("alice", iat=world.wall() - 10, allow=["skip:*"])
    for number, channel in enumerate(("closed:x", "closed:y"), 10):
        assert await ask(world, alice, {"subscribe": {"channel": channel}}, number) == 0
    newer = world.token("alice", iat=world.wall() - 5, allow=["short:*"])
    assert await ask(world, alice, {"refresh": {"token": newer}}, 20) == 0
    assert ended(alice) == []
    assert await ask(world, alice, {"subscribe": {"channel": "closed:z"}}, 21) == 0
    revoked = Revocation("alice", world.wall(), channels="closed:*")
    await world.broker.publish([Item(REVOKED, encode_revocation(revoked), Retention(100, 600))])
    await world.settle()
    assert ended(alice) == [("closed:x", 2000), ("closed:y", 2000), ("closed:z", 2000)]
    assert await ask(world, alice, {"subscribe": {"channel": "closed:x"}}, 22) == 103
    await world.close()


async def test_rights_that_cannot_be_end_the_connection_for_now() -> None:
    world = await greeted("news:*=read")
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("alice")}})
    await world.settle()
    assert connection.closed is not None
    assert connection.closed.code == 3004
    await world.close()
