"""A worker that goes asks its clients to come back elsewhere, a few at a time, after what they were to get."""

from __future__ import annotations

import pytest

from messageflow.core.codes import RESTART
from messageflow.core.stream import Item, Retention
from messageflow.hub import drain
from messageflow.hub.drain import Drain
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World


async def connections(world: World, count: int) -> list[MemoryConnection]:
    return [await world.connected(f"user{number}") for number in range(count)]


def codes(connections: list[MemoryConnection]) -> list[int]:
    return [connection.closed.code for connection in connections if connection.closed]


@pytest.mark.parametrize(
    ("sessions", "drain_time", "batch", "steps"),
    [(1, 10, 1, 1), (40, 10, 10, 4), (40, 0.2, 20, 2), (300, 0.1, 100, 3), (0, 10, 0, 0)],
    ids=["one", "few: a hundred a second", "in the drain time", "a thousand a second at most", "none"],
)
async def test_the_batches(world: World, sessions: int, drain_time: float, batch: int, steps: int) -> None:
    here = await connections(world, sessions)
    leaving = Drain(world.hub, drain_time)
    assert leaving.batch == batch
    for step in range(1, steps + 1):
        leaving.step()
        assert codes(here) == [3001] * min(sessions, step * batch)
    assert leaving.remaining == 0


async def test_who_is_told_to_come_back_at_once_is_told_so_by_a_drain_and_at_the_end(world: World) -> None:
    here = await connections(world, 20)
    world.hub.goodbye = RESTART
    Drain(world.hub, 10).step()
    assert codes(here) == [3401] * 10
    await world.hub.close()
    assert codes(here) == [3401] * 20


async def test_nobody_comes_in_any_more(world: World) -> None:
    late = world.connection()
    Drain(world.hub, 10)
    late.send({"id": 1, "connect": {"token": world.token("late")}})
    await world.settle()
    assert codes([late]) == [3001]


async def test_what_is_pending_is_written_before_a_session_is_told_to_leave(world: World) -> None:
    here = await connections(world, 30)
    leaving = Drain(world.hub, 10)
    await world.broker.publish([Item("*", b"1", Retention(1000, 600))])
    leaving.step()
    assert [len(connection.publications("*")) for connection in here] == [1] * 30
    assert len(codes(here)) == leaving.batch == 10
    await world.broker.publish([Item("*", b"2", Retention(1000, 600))])
    await world.settle()
    assert sorted(len(connection.publications("*")) for connection in here) == [1] * 10 + [2] * 20


async def test_who_was_told_to_leave_comes_back_where_he_was(world: World) -> None:
    connection = await world.subscribed("alice", "open:x")
    position = (await world.publish("open:x", 1))[0].position
    Drain(world.hub, 10).step()
    assert world.hub.sessions == {}
    world.hub.draining = False  # as another worker
    await world.publish("open:x", 2)
    again = await world.subscribed("alice", "open:x", recover=True, epoch=position.epoch, offset=1, tag=position.tag)
    assert [p["data"] for p in (*connection.publications("open:x"), *again.publications("open:x"))] == [1, 2]


async def test_it_ends_when_all_are_gone_or_when_it_is_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "BATCH_EVERY", 0.001)
    here = await connections(world, 5)
    await Drain(world.hub, 10).run(lambda: True)
    assert codes(here) == []
    await Drain(world.hub, 0).run(lambda: False)
    assert codes(here) == []
    await Drain(world.hub, 10).run(lambda: False)
    assert codes(here) == [3001] * 5


async def test_those_who_came_first_are_told_first(world: World) -> None:
    connections = [await world.connected(f"user{number}") for number in range(30)]
    drain = Drain(world.hub, 1.0)
    drain.step()
    told = [connection.closed is not None for connection in connections]
    assert told == [True] * drain.batch + [False] * (30 - drain.batch)
