"""The embedded broker in memory keeps the contract of `brokers.base`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from messageflow.brokers.base import Item
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.protocol import ClientInfo, Joined, Left
from messageflow.core.stream import Position, Publication
from messageflow.core.streams import Retention
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.testing.clock import ManualClock

KEPT = Retention(100, 60)


class RecordingSink:
    """Keeps what a broker delivers."""

    def __init__(self) -> None:
        self.publications: list[tuple[str, Publication]] = []
        self.pushes: list[tuple[str, Joined | Left]] = []
        self.control: list[bytes] = []

    def on_publication(self, channel: str, epoch: str, publication: Publication) -> None:
        self.publications.append((channel, publication))

    def on_presence(self, channel: str, push: Joined | Left) -> None:
        self.pushes.append((channel, push))

    def on_control(self, message: bytes) -> None:
        self.control.append(message)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
async def broker(clock: ManualClock, sink: RecordingSink) -> AsyncIterator[MemoryBroker]:
    made = MemoryBroker(memory=1 << 20, idempotency_window=60, clock=clock)
    await made.start(sink)
    yield made
    await made.close()


def items(channel: str, *data: int, retention: Retention = KEPT) -> list[Item]:
    return [Item(channel, str(each).encode(), retention) for each in data]


async def test_offsets_rise_by_one_and_receipts_say_memory(broker: MemoryBroker) -> None:
    stored = await broker.publish(items("x", 1, 2, 3))
    assert [s.position.offset for s in stored] == [1, 2, 3]
    assert {s.ack for s in stored} == {"memory"}
    assert len({s.position.epoch for s in stored}) == 1


async def test_only_subscribed_channels_are_delivered_in_order(broker: MemoryBroker, sink: RecordingSink) -> None:
    await broker.subscribe("x")
    await broker.publish([*items("x", 1, 2), *items("xy", 9), *items("x", 3)])
    broker.unsubscribe("x")
    await broker.publish(items("x", 4))
    assert [(channel, p.data) for channel, p in sink.publications] == [("x", b"1"), ("x", b"2"), ("x", b"3")]


async def test_a_channel_without_history_gives_no_offset(broker: MemoryBroker, sink: RecordingSink) -> None:
    await broker.subscribe("x")
    stored = await broker.publish(items("x", 1, retention=Retention(0, 0)))
    assert stored[0].position == Position("", 0, "")
    assert sink.publications[0][1].offset == 0


async def test_a_repeated_key_gives_the_first_outcome_and_is_delivered_once(
    broker: MemoryBroker, sink: RecordingSink, clock: ManualClock
) -> None:
    await broker.subscribe("x")
    item = Item("x", b"1", KEPT, key="k")
    first = await broker.publish([item])
    assert await broker.publish([item]) == first
    assert len(sink.publications) == 1
    clock.advance(61)
    assert (await broker.publish([item]))[0].position.offset == 2


async def test_since_gives_the_rest_or_refuses(broker: MemoryBroker) -> None:
    stored = await broker.publish(items("x", 1, 2, 3))
    rest = await broker.since("x", stored[0].position)
    assert [p.data for p in rest.publications] == [b"2", b"3"]
    assert rest.position == stored[2].position
    assert [p.data for p in (await broker.since("x", stored[0].position, 1)).publications] == [b"2"]
    for lost in (Position("another", 1), Position(stored[0].position.epoch, 9), stored[0].position._replace(tag="no")):
        with pytest.raises(Unrecoverable):
            await broker.since("x", lost)


async def test_who_stood_at_the_beginning_of_a_channel_misses_nothing(broker: MemoryBroker) -> None:
    empty = (await broker.page("x")).position
    assert empty.offset == 0
    assert (await broker.since("x", empty)).publications == []
    await broker.publish(items("x", 1))
    assert [p.data for p in (await broker.since("x", empty)).publications] == [b"1"]


async def test_what_is_too_old_is_gone_and_offsets_go_on(broker: MemoryBroker, clock: ManualClock) -> None:
    stored = await broker.publish(items("x", 1))
    clock.advance(61)
    with pytest.raises(Unrecoverable):
        await broker.since("x", stored[0].position._replace(offset=0, tag=""))
    assert (await broker.publish(items("x", 2)))[0].position.offset == 2


async def test_pages_go_both_ways(broker: MemoryBroker) -> None:
    await broker.publish(items("x", 1, 2, 3, 4))
    assert [p.offset for p in (await broker.page("x", 1, 2)).publications] == [2, 3]
    assert [p.offset for p in (await broker.page("x", 3, 9, reverse=True)).publications] == [2, 1]
    assert (await broker.page("x", None, 0)).publications == []


async def test_removed_history_is_gone_and_offsets_go_on(broker: MemoryBroker) -> None:
    await broker.publish(items("x", 1, 2))
    await broker.remove_history("x")
    assert (await broker.page("x", None, 9)).publications == []
    assert (await broker.publish(items("x", 3)))[0].position.offset == 3


async def test_over_the_budget_the_largest_stream_gives_way_and_small_ones_do_not(broker: MemoryBroker) -> None:
    small = (await broker.publish(items("small", 1)))[0].position
    large = (await broker.publish([Item("large", b'"' + b"x" * 50_000 + b'"', KEPT)]))[0].position
    await broker.publish([Item("large", b'"' + b"x" * 50_000 + b'"', KEPT)] * 30)
    assert broker.statistics()["stream_bytes"] <= 1 << 20
    assert broker.statistics()["publications_evicted"] > 0
    assert (await broker.since("small", small._replace(offset=0, tag=""))).publications
    with pytest.raises(Unrecoverable):
        await broker.since("large", large)


async def test_each_life_has_its_own_epoch(broker: MemoryBroker) -> None:
    assert (await broker.page("x")).position.epoch != (await MemoryBroker().page("x")).position.epoch


async def test_presence_is_kept_and_told_as_asked(broker: MemoryBroker, sink: RecordingSink) -> None:
    alice, tab = ClientInfo("alice", "a"), ClientInfo("alice", "b")
    await broker.subscribe("x")
    await broker.join("x", alice, keep=True, tell=True)
    await broker.join("x", tab, keep=True, tell=False)
    await broker.join("x", ClientInfo("bob", "c"), keep=False, tell=True)
    assert set(await broker.presence("x")) == {"a", "b"}
    assert tuple(await broker.presence_stats("x")) == (2, 1)
    await broker.leave("x", alice, tell=True)
    assert set(await broker.presence("x")) == {"b"}
    assert [type(push) for _, push in sink.pushes] == [Joined, Joined, Left]


async def test_control_messages_come_back(broker: MemoryBroker, sink: RecordingSink) -> None:
    await broker.control(b"message")
    assert sink.control == [b"message"]


async def test_a_closed_broker_says_so() -> None:
    with pytest.raises(BrokerError):
        await MemoryBroker().publish(items("x", 1))
