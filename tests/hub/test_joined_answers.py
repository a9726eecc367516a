"""A page that comes asks for many things in one message, and gets the answers in one write, in order."""

from __future__ import annotations

from typing import Any

import pytest

from messageflow.core.codes import Disconnect
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World


class Noted(MemoryConnection):
    """Notes how many messages each write holds, and how many came before the end."""

    before_end = 0

    def close(self, disconnect: Disconnect) -> None:
        self.before_end = len(self.written)
        super().close(disconnect)

    def write(self, data: bytes) -> None:
        before = len(self.written)
        super().write(data)
        self.writes = [*getattr(self, "writes", []), len(self.written) - before]


def noted(world: World) -> Noted:
    return Noted(world.hub, carrier=world.carrier)


def arrival(world: World, *more: Any) -> list[Any]:
    return [
        {"id": 1, "connect": {"token": world.token("alice")}},
        *({"id": number, "subscribe": {"channel": f"open:{number}"}} for number in (2, 3)),
        *more,
    ]


async def test_who_comes_and_subscribes_is_answered_in_one_write_and_at_once(world: World) -> None:
    connection = noted(world)
    connection.send(*arrival(world))
    assert [message["id"] for message in connection.written] == [1, 2, 3]
    assert connection.writes == [3]
    await world.settle()
    assert connection.writes == [3]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ({"id": 4, "presence_stats": {"channel": "open:2"}}, "presence_stats"),
        ({"id": 4, "subscribe": {"channel": "nowhere:x"}}, "error"),
    ],
)
async def test_any_other_answer_has_a_write_of_its_own_behind_them(world: World, command: Any, answer: str) -> None:
    connection = noted(world)
    connection.send(*arrival(world, command, {"id": 5, "subscribe": {"channel": "open:5"}}))
    await world.settle()
    assert [message["id"] for message in connection.written] == [1, 2, 3, 4, 5]
    assert answer in connection.written[3]
    assert connection.writes == [3, 1, 1]


async def test_what_was_answered_comes_before_the_end(world: World) -> None:
    connection = noted(world)
    connection.send(*arrival(world, {"id": 0, "subscribe": {"channel": "open:6"}}))
    assert connection.closed is not None
    assert connection.before_end == 3
    assert [message["id"] for message in connection.written] == [1, 2, 3]


async def test_a_session_that_has_ended_carries_out_nothing_more(world: World) -> None:
    connection = noted(world)
    connection.send(*arrival(world, {"id": 0, "subscribe": {"channel": "open:6"}}, {"id": 7, "ping": {}}))
    await world.settle()
    assert [message["id"] for message in connection.written] == [1, 2, 3]
