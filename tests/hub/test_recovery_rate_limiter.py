"""How fast history is given out: within its rate, in turn, and with one read for all who want the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.stream import Position
from messageflow.hub.history_limits import HistoryLimits
from messageflow.hub.limits import Limits
from messageflow.hub.recovery_rate_limiter import BURST, TURNS, RecoveryRateLimiter
from messageflow.testing.clock import ManualClock
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.hub.links import DistantBroker


class Sleeper:
    """Lets time pass instead of waiting for it."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    async def __call__(self, seconds: float) -> None:
        self._clock.advance(seconds)
        await asyncio.sleep(0)


def pace(rate: int) -> tuple[RecoveryRateLimiter, ManualClock]:
    clock = ManualClock()
    return RecoveryRateLimiter(rate, clock, Sleeper(clock)), clock


@given(rate=st.integers(1, 10_000), sizes=st.lists(st.integers(0, 5_000), min_size=1, max_size=80))
def test_no_more_is_given_out_than_the_rate_allows(rate: int, sizes: list[int]) -> None:
    meter, clock = pace(rate)
    began = clock()

    async def give(size: int) -> None:
        async with meter.turn():
            meter.spend(size)

    async def give_all() -> None:
        await asyncio.gather(*[give(size) for size in sizes])

    asyncio.run(give_all())
    assert meter.counters.recovery_bytes == sum(sizes)
    overdrawn = sum(sorted(sizes)[-TURNS:])
    assert meter.counters.recovery_bytes <= rate * (clock() - began + BURST) + overdrawn + 1e-3


async def test_turns_are_given_in_the_order_they_were_asked_for() -> None:
    meter, _ = pace(1000)
    order: list[int] = []

    async def give(number: int) -> None:
        async with meter.turn():
            meter.spend(500)
            order.append(number)

    await asyncio.gather(*[give(number) for number in range(3 * TURNS)])
    assert sorted(order) == list(range(3 * TURNS))
    assert max(abs(place - number) for place, number in enumerate(order)) < TURNS


async def test_without_a_rate_nothing_waits() -> None:
    meter, clock = pace(0)
    for _ in range(100):
        assert meter.take(1 << 30)
        async with meter.turn():
            meter.spend(1 << 30)
    assert (clock(), meter.counters.recovery_waits) == (ManualClock()(), 0)


# In the hub


@pytest.fixture
async def broker() -> DistantBroker:
    return DistantBroker()


@pytest.fixture
async def world(broker: DistantBroker) -> AsyncIterator[World]:
    made = World(Limits(history=HistoryLimits(recovery_rate=1000)), broker)
    made.hub.recovery_limiter._sleep = Sleeper(made.clock)
    await made.hub.start()
    yield made
    await made.close()


@pytest.fixture
async def unlimited(broker: DistantBroker) -> AsyncIterator[World]:
    made = World(Limits(history=HistoryLimits(recovery_rate=0)), broker)
    await made.hub.start()
    yield made
    await made.close()


async def users(world: World, count: int) -> list[MemoryConnection]:
    return [await world.connected(f"user{number}") for number in range(count)]


def come_back(connections: list[MemoryConnection], position: Position, offset: int) -> None:
    """Let sessions recover a channel from one position at one moment."""
    request = {"channel": "open:x", "recover": True, "epoch": position.epoch, "offset": offset}
    for connection in connections:
        connection.send({"id": 2, "subscribe": request})


async def test_who_is_over_the_rate_is_answered_at_once_and_catches_up_in_turn(world: World) -> None:
    stored = await world.publish("open:x", *range(10))
    connections = await users(world, 50)
    come_back(connections, stored[0].position, 0)
    for _ in range(5):
        await world.settle()
    answers = [connection.replies(2)[0]["subscribe"] for connection in connections]
    assert all(answer["recovered"] for answer in answers)
    assert len([answer for answer in answers if answer.get("publications")]) == 1
    for connection in connections:
        assert [p["data"] for p in connection.publications("open:x")] == list(range(10))
    assert world.hub.recovery_limiter.counters.recovery_waits >= 49


async def test_sessions_that_want_the_same_at_one_moment_share_one_read(
    unlimited: World, broker: DistantBroker
) -> None:
    stored = await unlimited.publish("open:x", *range(10))
    connections = await users(unlimited, 200)
    broker.gate.clear()
    come_back(connections, stored[0].position, 3)
    await unlimited.settle()
    assert len(broker.reads) == 1
    assert unlimited.hub.counters.reads_shared == 199
    connections[0].lose()  # the one whose read it was
    await unlimited.settle()
    assert len(broker.reads) == 2
    broker.gate.set()
    await unlimited.settle()
    for connection in connections[1:]:
        assert [p["data"] for p in connection.publications("open:x")] == list(range(3, 10))
    assert len(broker.reads) == 2


async def test_a_read_is_not_shared_over_a_time_in_which_nobody_listened(
    unlimited: World, broker: DistantBroker
) -> None:
    stored = await unlimited.publish("open:x", 1)
    gone, back = await users(unlimited, 2)
    broker.gate.clear()
    come_back([gone], stored[0].position, 0)
    await unlimited.settle()
    gone.lose()
    await unlimited.publish("open:x", 2)  # the worker is not subscribed any more, and this is not delivered to it
    come_back([back], stored[0].position, 0)
    await unlimited.settle()
    broker.gate.set()
    await unlimited.settle()
    assert [p["data"] for p in back.publications("open:x")] == [1, 2]


async def test_one_answer_carries_so_much_however_many_channels_it_speaks_of(broker: DistantBroker) -> None:
    world = World(Limits(history=HistoryLimits(chunk_bytes=2000)), broker)
    await world.hub.start()
    names = [f"open:{number}" for number in range(10)]
    positions = {}
    for name in names:
        stored = await world.publish(name, *range(10))
        positions[name] = {"recover": True, "epoch": stored[0].position.epoch, "offset": 0}
    connection = await world.connected("alice", subs=positions, channels=names)
    await world.settle()
    answers = connection.replies(1)[0]["connect"]["subs"]
    assert all(answers[name]["recovered"] for name in names)
    assert sum(len(answers[name].get("publications", ())) for name in names) <= 21
    for name in names:
        assert [p["data"] for p in connection.publications(name)] == list(range(10))
    await world.hub.close()


# The bucket, by the moment


def test_a_long_rest_earns_a_burst_and_no_more() -> None:
    clock = ManualClock()
    pace = RecoveryRateLimiter(100, clock)
    clock.advance(1000)
    assert pace.take(25)
    assert pace.debt == 0
    assert pace.take(1)
    assert pace.debt == pytest.approx(0.01)
    assert (pace.take(1), pace.counters.recovery_waits, pace.counters.recovery_bytes) == (False, 1, 26)


async def test_a_turn_begins_when_the_debt_is_over_and_not_before() -> None:
    clock = ManualClock()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds / 2)  # sleeps end early now and then

    began = clock()
    pace = RecoveryRateLimiter(100, clock, sleep)
    pace.spend(225)
    async with pace.turn():
        assert pace.debt == 0
    assert len(slept) > 3
    assert clock() - began == pytest.approx(2.0, abs=0.01)
    assert pace.counters.recovery_waits == 1


async def test_only_so_many_have_their_turn_at_once() -> None:
    pace = RecoveryRateLimiter(0, ManualClock(), turns=2)
    async with pace.turn(), pace.turn():
        third = asyncio.ensure_future(pace.turn().__aenter__())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not third.done()
    await asyncio.wait_for(third, 10)
