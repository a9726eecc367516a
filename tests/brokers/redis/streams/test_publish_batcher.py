"""Who publishes at the same time is stored together; nobody waits for ever, and what waits is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from messageflow.brokers.base import Stored
from messageflow.brokers.redis.streams import publish_batcher
from messageflow.brokers.redis.streams.publish_batcher import PublishBatcher
from messageflow.brokers.redis.streams.stream_store import Outcome
from messageflow.core.stream import Item, Retention
from messageflow.errors import Unanswered, Unavailable
from messageflow.testing.broker_suite import items


class Storing:
    """Stores when it is let."""

    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.go = asyncio.Event()

    async def __call__(self, asked: Sequence[Item]) -> list[Outcome]:
        self.calls.append([item.data for item in asked])
        await self.go.wait()
        return [Stored("e", int(item.data), "", "memory") for item in asked]


@pytest.fixture
async def storing() -> Storing:
    return Storing()


@pytest.fixture
def deadline() -> float:
    return 60.0  # beyond what a busy machine takes, where a test is not about it


@pytest.fixture
async def under_test(storing: Storing, deadline: float) -> AsyncIterator[PublishBatcher]:
    made = PublishBatcher(storing, lambda channel: channel, deadline=deadline)
    yield made
    storing.go.set()
    await made.close()


async def test_who_comes_while_two_rounds_are_under_way_shares_the_third(
    under_test: PublishBatcher, storing: Storing
) -> None:
    calls = []
    for number in range(6):
        calls.append(asyncio.create_task(under_test.publish(items("x", number))))
        await asyncio.sleep(0.01)
    assert storing.calls == [[b"0"], [b"1"]]
    storing.go.set()
    found = [outcome for call in calls for outcome in await call]
    assert storing.calls == [[b"0"], [b"1"], [b"2", b"3", b"4", b"5"]]
    assert [outcome.position.offset for outcome in found if isinstance(outcome, Stored)] == list(range(6))


async def test_who_comes_in_one_turn_shares_a_round(under_test: PublishBatcher, storing: Storing) -> None:
    storing.go.set()
    await asyncio.gather(*(under_test.publish(items("x", number)) for number in range(5)))
    assert storing.calls == [[b"0", b"1", b"2", b"3", b"4"]]


async def test_what_lies_elsewhere_waits_for_nothing_that_is_away() -> None:
    away = asyncio.Event()

    async def store(asked: Sequence[Item]) -> list[Outcome]:
        if asked[0].channel == "away":
            await away.wait()
        return [Stored("e", int(item.data), "", "memory") for item in asked]

    under_test = PublishBatcher(store, lambda channel: channel, deadline=0.4)
    waiting = asyncio.create_task(under_test.publish(items("away", 1)))
    [there] = await under_test.publish(items("there", 1))
    both = await under_test.publish([*items("there", 2), *items("away", 3), *items("there", 4)])
    assert isinstance(there, Stored)
    assert [type(outcome) for outcome in both] == [Stored, Unanswered, Stored]
    with pytest.raises(Unanswered):
        await waiting
    away.set()
    await under_test.close()


@pytest.mark.parametrize("deadline", [0.4])
async def test_nobody_waits_beyond_the_deadline_and_learns_whether_he_was_sent(under_test: PublishBatcher) -> None:
    calls = []
    for number in range(3):
        calls.append(asyncio.create_task(under_test.publish(items("x", number))))
        await asyncio.sleep(0.01)
    outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
    assert [type(outcome) for outcome in outcomes] == [Unanswered, Unanswered, Unavailable]


async def test_what_was_given_up_before_it_was_sent_is_not_sent(under_test: PublishBatcher, storing: Storing) -> None:
    calls = []
    for number in range(3):
        calls.append(asyncio.create_task(under_test.publish(items("x", number))))
        await asyncio.sleep(0.01)
    calls[2].cancel()
    await asyncio.sleep(0)
    storing.go.set()
    await asyncio.wait(calls)
    await under_test.publish(items("x", 9))
    assert storing.calls == [[b"0"], [b"1"], [b"9"]]


async def test_more_than_the_bytes_that_may_wait_is_refused_and_counted(
    under_test: PublishBatcher, storing: Storing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_batcher, "MOST_WAITING", 3)
    calls = []
    for number in range(6):
        calls.append(asyncio.create_task(under_test.publish(items("x", number))))
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable, match="behind"):
        await under_test.publish(items("x", 7))
    assert under_test.refused == 1
    storing.go.set()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("large", range(4))
async def test_all_of_what_waits_counts(
    under_test: PublishBatcher, storing: Storing, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(publish_batcher, "MOST_WAITING", 100)
    data, key, info, tags = ("1" * (200 if number == large else 1) for number in range(4))
    item = Item("x", data.encode(), Retention(9, 9), key, info.encode(), tags.encode())
    calls = []
    for _ in range(3):  # one after another is under way, and one waits
        calls.append(asyncio.create_task(under_test.publish([item])))
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable, match="behind"):
        await under_test.publish([item])
    assert under_test.refused == 1  # at once, not when its time was over
    storing.go.set()
    await asyncio.gather(*calls, return_exceptions=True)
