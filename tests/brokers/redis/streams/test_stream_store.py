"""Storing in slices: what comes of each publication where Redis fails in between."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import pytest

from messageflow.brokers.base import Ack, Stored
from messageflow.brokers.redis.connections.command_client import CommandClient
from messageflow.brokers.redis.connections.resp import Announcing, RedisCommand
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.streams.stream_store import AT_ONCE, Outcome, RedisStreamStore, unwrap_outcomes
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable
from messageflow.testing.broker_suite import NOT_KEPT, items


class Scripted:
    """Servers that answer as the test says, a reply for each call of the script."""

    def __init__(self, *replies: Any) -> None:
        self._replies = list(replies)

    async def execute(self, commands: Sequence[RedisCommand]) -> list[Any]:
        return [self._replies.pop(0) for _ in commands]

    def find_place(self, key: str) -> Hashable:
        return None

    def get_announcing(self, key: str) -> Announcing:
        return Announcing("PUBLISH")

    def get_ack(self, key: str) -> Ack:
        return "disk"


def store_over(*replies: Any) -> RedisStreamStore:
    return RedisStreamStore(CommandClient(Scripted(*replies)), Names("p"), 600)


def answers(first: int, count: int) -> list[bytes]:
    """What the script answers for so many publications from an offset on."""
    return [each for offset in range(first, first + count) for each in (b"e", b"%d" % offset, b"t")]


async def test_nothing_is_stored_after_a_slice_that_failed() -> None:
    outcomes = await store_over(answers(1, AT_ONCE), Unanswered("lost")).publish(items("x", *range(3 * AT_ONCE)))
    assert [type(each) for each in outcomes] == [
        kind for kind in (Stored, Unanswered, Unavailable) for _ in range(AT_ONCE)
    ]
    with pytest.raises(Unanswered, match="not all of it"):
        unwrap_outcomes(outcomes)


async def test_slices_follow_each_other() -> None:
    outcomes = await store_over(answers(1, AT_ONCE), answers(AT_ONCE + 1, 5)).publish(items("x", *range(AT_ONCE + 5)))
    assert [each.position.offset for each in unwrap_outcomes(outcomes)] == list(range(1, AT_ONCE + 6))
    assert {each.ack for each in unwrap_outcomes(outcomes)} == {"disk"}


async def test_what_has_no_history_is_in_memory_alone() -> None:
    outcomes = await store_over([b"", b"0", b""]).publish(items("x", 1, retention=NOT_KEPT))
    assert outcomes == [Stored("", 0, "", "memory")]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([NoRoom("full")], NoRoom),
        ([Unavailable("away"), Unanswered("lost")], Unanswered),
        ([Stored("e", 1, "t", "os"), NoRoom("full")], Unanswered),
        ([NoRoom("full"), Unavailable("away")], NoRoom),
    ],
)
def test_a_call_of_which_nothing_was_stored_says_so(outcomes: list[Outcome], expected: type[BrokerError]) -> None:
    with pytest.raises(BrokerError) as caught:
        unwrap_outcomes(outcomes)
    assert type(caught.value) is expected
