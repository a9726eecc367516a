"""Publications are gathered for as long as the last flush took, while more are published, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from messageflow.hub import fan_out
from messageflow.hub.fan_out import CHEAP, GATHER_SECONDS, GATHER_TURNS, MANY
from tests.hub.conftest import World
from tests.waiting import until

NAME = "open:x"


class SlowWrites:
    """A listener to whom every write takes so long.

    Attributes:
        sizes: how many publications each write had.
    """

    def __init__(self, world: World, seconds: float) -> None:
        self.sizes: list[int] = []
        self._world = world
        self._seconds = seconds

    async def come(self) -> None:
        session = (await self._world.subscribed("alice", NAME)).session
        assert session is not None
        session.write = self._slow(session.write)

    def _slow(self, write: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def slow(data: bytes) -> None:
            self.sizes.append(data.count(b'"pub":'))
            self._world.clock.advance(self._seconds)
            write(data)

        return slow

    async def publish_steadily(self, count: int, every: float) -> None:
        """Publish every so many seconds, always within the turns in which others are waited for."""
        for number in range(count):
            self._world.clock.advance(every)
            await self._world.publish_only(NAME, number)
            await asyncio.sleep(0)


@pytest.mark.parametrize(("took", "gathered"), [(0.0, 0.0), (0.008, 0.008), (0.5, GATHER_SECONDS)])
async def test_what_comes_meanwhile_is_gathered_for_as_long_as_the_last_flush_took(
    world: World, took: float, gathered: float
) -> None:
    listener = SlowWrites(world, took)
    await listener.come()
    await world.publish(NAME, 0)
    assert listener.sizes == [1]
    await listener.publish_steadily(200, every=0.001)
    await world.settle()
    assert sum(listener.sizes) == 201
    rest = listener.sizes[1:-1]
    least = gathered / 0.001
    assert all(least <= size <= least + GATHER_TURNS + 2 for size in rest)


async def test_one_that_is_alone_leaves_at_once_however_long_the_last_flush_took(world: World) -> None:
    listener = SlowWrites(world, 0.5)
    await listener.come()
    await world.publish(NAME, 0)
    for number in range(1, 4):
        await world.publish_only(NAME, number)
        for _ in range(GATHER_TURNS + 1):
            assert len(listener.sizes) == number
            await asyncio.sleep(0)
        assert listener.sizes == [1] * (number + 1)


@pytest.mark.parametrize(("took", "turns"), [(CHEAP / 2, 1), (CHEAP * 2, GATHER_TURNS + 1)])
async def test_where_a_flush_is_cheap_the_next_leaves_within_a_turn(world: World, took: float, turns: int) -> None:
    listener = SlowWrites(world, took)
    await listener.come()
    await world.publish(NAME, 0)
    await world.publish_only(NAME, 1)
    await pass_turns(turns - 1)
    assert listener.sizes == [1]
    await pass_turns(1)
    assert listener.sizes == [1, 1]


async def pass_turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_burst_from_another_process_is_gathered_for_as_long_as_the_last_flush_took(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "GATHER_SECONDS", 0.2)
    world.hub.fan_out._from_afar = True
    listener = SlowWrites(world, 0.5)
    await listener.come()
    for number in range(MANY):
        await world.publish_only(NAME, number)
    await until(lambda: listener.sizes)
    for number in range(2):
        await world.publish_only(NAME, number)
        await pass_turns(GATHER_TURNS + 2)  # far less than the flush took
    await until(lambda: len(listener.sizes) > 1)
    assert listener.sizes == [MANY, 2]


async def test_a_publication_from_another_process_goes_out_at_once_where_few_came_before(world: World) -> None:
    world.hub.fan_out._from_afar = True
    listener = SlowWrites(world, 0.5)
    await listener.come()
    for number in range(3):
        await world.publish_only(NAME, number)
        await pass_turns(GATHER_TURNS + 2)
    assert listener.sizes == [1, 1, 1]
