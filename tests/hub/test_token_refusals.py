"""Each refusal of a token is counted by its reason and logged with it, and answered as its command has it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from messageflow.errors import TokenReason
from tests.hub.conftest import World

Tokens = Callable[[World], str]


def kinds(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, int]]:
    """Return command, reason and level of each refusal that was logged."""
    found = [record for record in caplog.records if record.getMessage() == "token_refused"]
    assert all(record.detail for record in found)  # type: ignore[attr-defined]
    return [(r.command, r.reason, r.levelno) for r in found]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (lambda world: world.token("alice", -5), TokenReason.EXPIRED),
        (lambda world: "nonsense", TokenReason.MALFORMED),
        (lambda world: world.token("alice")[:-8] + "AAAAAAAA", TokenReason.BAD_SIGNATURE),
        (lambda world: world.token(""), TokenReason.MISSING_CLAIM),
        (lambda world: world.token("alice", 10**9), TokenReason.TOO_LONG_A_LIFE),
        (lambda world: world.token("alice", channel="secret"), TokenReason.WRONG_USE),
        (lambda world: world.token("alice", channels=[f"c{n}" for n in range(129)]), TokenReason.TOO_MANY_CHANNELS),
    ],
    ids=lambda value: value if isinstance(value, str) else "token",
)
async def test_a_refusal_at_connect(
    world: World, caplog: pytest.LogCaptureFixture, token: Tokens, reason: TokenReason
) -> None:
    caplog.set_level(logging.INFO)
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": token(world)}})
    await world.settle()
    assert connection.closed is not None or connection.replies(1)[0]["error"]["code"] == 109
    assert world.hub.counters.token_refusals == {reason: 1}
    level = logging.INFO if reason is TokenReason.EXPIRED else logging.WARNING
    assert kinds(caplog) == [("connect", reason, level)]


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (lambda world: world.token("bob"), TokenReason.WRONG_BEARER),
        (lambda world: world.token("alice", -5), TokenReason.EXPIRED),
        (lambda world: "nonsense", TokenReason.MALFORMED),
    ],
    ids=lambda value: value if isinstance(value, str) else "token",
)
async def test_a_refusal_at_refresh(
    world: World, caplog: pytest.LogCaptureFixture, token: Tokens, reason: TokenReason
) -> None:
    caplog.set_level(logging.INFO)
    connection = await world.connected("alice")
    connection.send({"id": 2, "refresh": {"token": token(world)}})
    await world.settle()
    assert connection.closed is not None
    assert connection.closed.code == (3005 if reason is TokenReason.EXPIRED else 3500)
    assert world.hub.counters.token_refusals == {reason: 1}
    assert [(command, why) for command, why, _ in kinds(caplog)] == [("refresh", reason)]


@pytest.mark.parametrize("command", ["subscribe", "sub_refresh"])
@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"channel": "$other"}, TokenReason.WRONG_BEARER),
        ({"channel": "$news", "client": "another"}, TokenReason.WRONG_BEARER),
        ({}, TokenReason.WRONG_USE),
        ({"channel": "$news", "exp": 1}, TokenReason.EXPIRED),
    ],
)
async def test_a_refusal_of_a_subscription(
    world: World, caplog: pytest.LogCaptureFixture, command: str, claims: dict[str, Any], reason: TokenReason
) -> None:
    caplog.set_level(logging.INFO)
    connection = await world.connected("alice")
    if command == "sub_refresh":
        good = world.token("alice", channel="$news")
        connection.send({"id": 2, "subscribe": {"channel": "$news", "token": good}})
        await world.settle()
        assert "subscribe" in connection.replies(2)[0]
    connection.send({"id": 3, command: {"channel": "$news", "token": world.token("alice", **claims)}})
    await world.settle()
    assert world.hub.counters.token_refusals == {reason: 1}
    assert [(each, why) for each, why, _ in kinds(caplog)] == [(command, reason)]


async def test_a_token_that_is_taken_is_no_refusal(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.connected("alice")
    assert world.hub.counters.token_refusals == {}
    assert kinds(caplog) == []
