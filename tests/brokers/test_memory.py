"""The broker in memory keeps the contract of `brokers.base`, and its own promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from messageflow.brokers.base import Broker
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.stream import Item
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.testing.broker_suite import KEPT, BrokerSuite, RecordingSink, items
from messageflow.testing.clock import ManualClock


class TestMemoryBroker(BrokerSuite):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def broker(self, clock: ManualClock, sink: RecordingSink) -> AsyncIterator[Broker]:
        made = MemoryBroker(memory=1 << 20, idempotency_window=60, clock=clock)
        await made.start(sink)
        yield made
        await made.close()

    async def test_one_item_takes_no_time(self, broker: MemoryBroker, sink: RecordingSink) -> None:
        await broker.subscribe("x")
        item = replace(items("x", 1)[0], key="k")
        stored = broker.publish_now(item, lambda stored, error: None)
        assert [stored] == await broker.publish([item])
        assert [p.data for _, p in sink.publications] == [b"1"]

    async def test_receipts_say_memory(self, broker: Broker) -> None:
        assert (await broker.publish(items("x", 1)))[0].ack == "memory"

    async def test_a_key_is_forgotten_after_its_time(self, broker: Broker, clock: ManualClock) -> None:
        item = Item("x", b"1", KEPT, key="k")
        await broker.publish([item])
        clock.advance(61)
        assert (await broker.publish([item]))[0].position.offset == 2

    async def test_what_is_too_old_is_gone_and_offsets_go_on(self, broker: Broker, clock: ManualClock) -> None:
        stored = await broker.publish(items("x", 1))
        clock.advance(61)
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", stored[0].position._replace(offset=0, tag=""))
        assert (await broker.publish(items("x", 2)))[0].position.offset == 2

    async def test_over_the_budget_the_largest_stream_gives_way_and_small_ones_do_not(self, broker: Broker) -> None:
        small = (await broker.publish(items("small", 1)))[0].position
        large = (await broker.publish([Item("large", b'"' + b"x" * 50_000 + b'"', KEPT)]))[0].position
        await broker.publish([Item("large", b'"' + b"x" * 50_000 + b'"', KEPT)] * 30)
        assert broker.statistics()["stream_bytes"] <= 1 << 20
        assert broker.statistics()["publications_evicted"] > 0
        assert (await broker.read_since("small", small._replace(offset=0, tag=""))).publications
        with pytest.raises(Unrecoverable):
            await broker.read_since("large", large)


async def test_each_life_has_its_own_epoch() -> None:
    assert (await MemoryBroker().read_page("x")).position.epoch != (await MemoryBroker().read_page("x")).position.epoch


async def test_a_closed_broker_says_so() -> None:
    with pytest.raises(BrokerError):
        await MemoryBroker().publish(items("x", 1))
