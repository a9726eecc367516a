"""A Redis that comes back from the same older file twice, and a receipt that was here before its announcement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from messageflow.brokers.redis.streams.position_monitor import MOST_ENDED, PositionMonitor
from messageflow.brokers.redis.streams.stream_store import RedisStreamStore
from messageflow.core.stream import Position, Publication
from messageflow.testing.broker_suite import until
from tests.brokers.redis.site import LAZY, Site, filled, is_told


class Streams:
    """What a monitor asks of the store: one position for all, and which judgements were asked for."""

    def __init__(self, top: Position) -> None:
        self.top = top
        self.judged: list[Position] = []

    async def read_positions(self, channels: Sequence[str]) -> list[Position]:
        return [self.top for _ in channels]

    async def forget(self, channel: str, seen: Position) -> bool:
        self.judged.append(seen)
        return True


async def review(monitor: PositionMonitor) -> None:
    """Lose Redis, and have it back."""
    monitor.set_aside()
    monitor.review()
    await monitor.wait_for_review()


def watched(streams: Streams) -> PositionMonitor:
    monitor = PositionMonitor(cast(RedisStreamStore, streams), lambda: None, lambda: None)
    monitor.add("x")
    return monitor


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, LAZY)
    yield made
    made.redis.stop()


async def test_a_redis_that_comes_back_from_the_same_file_twice_is_found_out_twice(site: Site) -> None:
    async with site.gateway() as broker:

        async def restart() -> None:
            before = broker._ages._lives
            site.restart_on_kept_file()
            await until(lambda: broker._ages._lives != before)

        await filled(broker, 1)
        site.keep_file()
        seen = await filled(broker, 2, 3)
        await restart()
        between = await filled(broker, 4, 5)
        assert between.epoch != seen.epoch
        await restart()
        now = await filled(broker, 6, 7, 8)
        assert now.offset == 4
        assert await is_told(broker, seen)
        assert await is_told(broker, between)
        assert not await is_told(broker, now)
        async with site.gateway() as other:
            assert not await is_told(other, now)


async def test_an_epoch_that_another_ended_is_known_when_it_comes_back() -> None:
    streams = Streams(Position("second", 3, "c"))
    monitor = watched(streams)
    monitor.note_receipt("x", Position("first", 5, "a"))
    await review(monitor)  # another gateway was faster
    assert streams.judged == []
    streams.top = Position("first", 7, "b")
    await review(monitor)
    assert streams.judged == [Position("first", 8, "")]
    streams.top = Position("third", 7, "b")
    await review(monitor)
    assert len(streams.judged) == 1


async def test_as_many_ended_epochs_are_kept_as_are_worth_it() -> None:
    streams = Streams(Position("0", 1, "a"))
    monitor = watched(streams)
    for number in range(2 * MOST_ENDED):
        monitor.note_receipt("x", Position(str(number), 5, "a"))
        streams.top = Position(str(number), 1, "a")
        await review(monitor)
    assert monitor._ended["x"] == tuple(str(number) for number in range(MOST_ENDED, 2 * MOST_ENDED))


async def test_what_a_receipt_said_is_judged_though_its_announcement_did_not_come() -> None:
    streams = Streams(Position("e", 1, "a"))
    monitor = watched(streams)
    assert monitor.note_announcement("x", "e", Publication(1, "a", 0.0, b"1"))
    monitor.note_receipt("x", Position("e", 2, "b"))
    await review(monitor)
    assert streams.judged == [Position("e", 2, "b")]
