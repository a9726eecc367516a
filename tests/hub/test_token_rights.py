"""The claim `allow`: what a token lets a client do in channels that the options of their namespaces do not."""

from __future__ import annotations

from typing import Any

import pytest

from messageflow.hub.hooks import AuthorizeAnswer, AuthorizeQuestion, Hooks
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World

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
