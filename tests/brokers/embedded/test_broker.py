"""The embedded broker keeps the contract, and what it kept outlives it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from messageflow.brokers.base import Broker, Stored
from messageflow.brokers.embedded import log_cleaner
from messageflow.brokers.embedded.data_directory import LOG
from messageflow.brokers.embedded.log import LogReader, StreamLog
from messageflow.brokers.embedded.reservations_file import FILE
from messageflow.brokers.embedded.rows import COLUMNS, Row
from messageflow.core.stream import Item, Retention
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.testing.broker_suite import KEPT, BrokerSuite, RecordingSink, items, until
from messageflow.testing.clock import ManualClock
from tests.brokers.embedded.conftest import Opened
from tests.waiting import patience


class TestEmbeddedBroker(BrokerSuite):
    @pytest.fixture(params=["os", "disk"])
    async def broker(
        self, opened: Opened, sink: RecordingSink, request: pytest.FixtureRequest
    ) -> AsyncIterator[Broker]:
        async with opened(sink, ack=request.param) as made:
            yield made


@pytest.mark.parametrize("ack", ["os", "disk"])
async def test_receipts_name_the_level(opened: Opened, ack: str) -> None:
    async with opened(ack=ack) as broker:
        assert (await broker.publish(items("x", 1)))[0].ack == ack
        assert (await broker.publish(items("x", 1, retention=Retention(0, 0))))[0].ack == "memory"


async def test_streams_go_on_after_a_restart(opened: Opened) -> None:
    async with opened() as broker:
        stored = await broker.publish([*items("x", 1, 2, 3), *items("y", 9)])
        unborn = (await broker.read_page("z")).position
    async with opened() as broker:
        assert (await broker.read_page("x")).position == stored[2].position
        assert [p.data for p in (await broker.read_since("x", stored[0].position)).publications] == [b"2", b"3"]
        assert (await broker.read_page("z")).position == unborn
        after = await broker.publish(items("x", 4))
        assert after[0].position.offset == 4
        assert after[0].position.epoch == stored[0].position.epoch
    async with opened() as broker:
        assert [p.data for p in (await broker.read_since("x", stored[1].position)).publications] == [b"3", b"4"]


async def test_what_was_reserved_is_known_after_an_end_in_order(
    opened: Opened, clock: ManualClock, wall: ManualClock, tmp_path: Path
) -> None:
    async with opened() as broker:
        for key in ("ended", "begun"):
            assert (await broker.reserve("alice", key)).state == "mine"
        await broker.settle("alice", "ended", b"so")
        clock.advance(60)
        wall.advance(60)
    assert len(list(tmp_path.rglob(FILE))) == 1
    async with opened() as broker:
        assert list(tmp_path.rglob(FILE)) == []  # after a crash there is none
        assert await broker.reserve("alice", "ended", 30.0) == ("ended", b"so")
        assert (await broker.reserve("alice", "begun", 30.0)).state == "unknown"
        assert (await broker.reserve("alice", "never seen", 30.0)).state == "mine"
        assert (await broker.reserve("alice", "too old", 90.0)).state == "unknown"


@pytest.mark.parametrize("left", [b"", b"\x93", b'"nothing of ours"'])
async def test_what_is_left_damaged_is_not_believed(opened: Opened, tmp_path: Path, left: bytes) -> None:
    async with opened() as broker:
        await broker.reserve("alice", "k")
    [file] = tmp_path.rglob(FILE)
    file.write_bytes(left)
    async with opened() as broker:
        assert (await broker.reserve("alice", "k", 1.0)).state == "unknown"
        assert (await broker.reserve("alice", "l")).state == "mine"


async def test_a_key_is_known_after_a_restart(opened: Opened, clock: ManualClock, wall: ManualClock) -> None:
    item = Item("x", b"1", Retention(1, 60), key="k")
    async with opened() as broker:
        first = await broker.publish([item])
        await broker.publish(items("x", *range(200), retention=Retention(1, 60)))
        clock.advance(30)
        wall.advance(30)
        broker._enforce_limits(broker._clock())  # what is past its time leaves the log, but not what a retry may mean
        await asyncio.sleep(0.05)
    async with opened() as broker:
        assert await broker.publish([item]) == first
        assert (await broker.read_page("x")).position.offset == 201


async def test_publishes_of_one_moment_are_stored_together_in_order(opened: Opened) -> None:
    async with opened() as broker:
        outcomes = await asyncio.gather(*(broker.publish(items("x", n, n)) for n in range(100)))
        assert [s.position.offset for stored in outcomes for s in stored] == list(range(1, 201))


async def test_nothing_is_seen_before_it_is_stored(opened: Opened) -> None:
    sink = RecordingSink()
    async with opened(sink, ack="disk") as broker:
        await broker.subscribe("x")
        publishing = asyncio.ensure_future(broker.publish(items("x", *range(50))))
        await asyncio.sleep(0)
        assert (await broker.read_page("x", None, 9)).publications == []
        assert sink.publications == []
        await publishing
        assert len(sink.publications) == 50


async def test_what_memory_has_no_room_for_is_read_from_the_log(opened: Opened) -> None:
    large = [Item("large", b'"%b"' % (bytes([65 + n % 26]) * 20_000), KEPT) for n in range(90)]
    async with opened(memory=1 << 20) as broker:
        start = (await broker.read_page("large")).position
        stored = await broker.publish(large)
        assert broker.statistics()["publications_evicted"] > 0
        for position, missed in ((start, 90), (stored[9].position, 80), (stored[9].position._replace(tag=""), 80)):
            history = await broker.read_since("large", position)
            assert [p.offset for p in history.publications] == list(range(91 - missed, 91))
            assert [p.data for p in history.publications] == [item.data for item in large[-missed:]]
        assert [p.offset for p in (await broker.read_since("large", start, 7)).publications] == list(range(1, 8))
        assert [p.offset for p in (await broker.read_page("large", 3, 5)).publications] == [4, 5, 6, 7, 8]
        assert [p.offset for p in (await broker.read_page("large", 5, 9, reverse=True)).publications] == [4, 3, 2, 1]
        assert [p.offset for p in (await broker.read_page("large", None, 2, reverse=True)).publications] == [90, 89]
        with pytest.raises(Unrecoverable):
            await broker.read_since("large", stored[9].position._replace(tag="no"))


async def test_whom_a_publication_is_not_for_is_known_after_a_restart_and_from_the_log(opened: Opened) -> None:
    async with opened() as broker:
        start = (await broker.read_page("x")).position
        await broker.publish([Item("x", b"1", KEPT, exclude="alice-1"), Item("x", b"2", KEPT)])
    async with opened(memory=1 << 20) as broker:
        assert [p.exclude for p in (await broker.read_since("x", start)).publications] == ["alice-1", ""]
        await broker.publish([Item("x", b'"%b"' % (b"x" * 40_000), KEPT) for _ in range(40)])
        assert broker.statistics()["publications_evicted"] > 1
        assert [p.exclude for p in (await broker.read_since("x", start)).publications[:3]] == ["alice-1", "", ""]


async def test_a_file_of_before_is_read_and_what_is_written_now_is_read_by_versions_of_before(
    opened: Opened, data_dir: Path
) -> None:
    async with opened() as broker:
        start = (await broker.read_page("x")).position
        await broker.publish([Item("x", b"1", KEPT)])
    with closing(sqlite3.connect(data_dir / LOG)) as file:
        file.execute("ALTER TABLE log DROP COLUMN exclude")
        file.commit()
    async with opened() as broker:
        await broker.publish([Item("x", b"2", KEPT, exclude="alice-1")])
        assert [p.exclude for p in (await broker.read_since("x", start)).publications] == ["", "alice-1"]
    with closing(sqlite3.connect(data_dir / LOG)) as file:  # as those versions do: they name the columns they know
        columns = COLUMNS.replace("check", '"check"').removesuffix(", exclude")
        rows = [Row(*values) for values in file.execute(f"SELECT {columns} FROM log ORDER BY id")]
    assert [row.is_sound for row in rows] == [True, True]


async def test_a_read_of_the_log_is_bounded_in_bytes(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    large = [Item("large", b'"%b"' % (b"x" * 9_000), Retention(1000, 60)) for _ in range(200)]
    read: list[int] = []
    async with opened(memory=1 << 20) as broker:
        start = (await broker.read_page("large")).position
        await broker.publish(large)
        rows = LogReader.read

        def counted(self: LogReader, ids: Sequence[int]) -> list[Row]:
            read.append(len(ids))
            return rows(self, ids)

        monkeypatch.setattr(LogReader, "read", counted)
        for size, count in ((1, 1), (100_000, 10), (400_000, 43)):
            found = await broker.read_since("large", start, 1000, size)
            assert [p.offset for p in found.publications] == list(range(1, count + 1))
            found = await broker.read_page("large", 101, 1000, size, reverse=True)
            assert [p.offset for p in found.publications] == list(range(100, 100 - count, -1))
        assert read == [32, 32, 32, 32, 32, 32, 32, 32]


async def test_the_log_keeps_to_the_retention_too(opened: Opened, clock: ManualClock) -> None:
    async with opened(memory=1 << 20) as broker:
        retention = Retention(10, 60)
        old = (await broker.publish(items("x", *range(30), retention=retention)))[19].position
        assert len((await broker.read_since("x", old)).publications) == 10
        clock.advance(61)
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", old)
        assert (await broker.read_page("x", None, 100)).publications == []


async def test_rows_past_their_time_leave_the_log(opened: Opened, clock: ManualClock) -> None:
    async with opened() as broker:
        stored = await broker.publish(items("x", *range(3000)) + items("y", 1, retention=Retention(9, 10_000)))
        clock.advance(100)
        async with asyncio.timeout(patience(20)):
            while broker.statistics()["log_publications"] != 1:
                broker._enforce_limits(broker._clock())
                await broker.remove_history("nobody's")
                await asyncio.sleep(0.05)
        assert (await broker.read_page("x")).position == stored[2999].position
    async with opened() as broker:
        assert broker.statistics()["log_publications"] == 1
        assert (await broker.read_page("x")).position == stored[2999].position
        assert (await broker.publish(items("x", 7)))[0].position.offset == 3001


async def test_over_the_disk_budget_the_longest_streams_lose_their_oldest(opened: Opened) -> None:
    large = [Item("large", b'"%b"' % (b"x" * 20_000), Retention(1000, 600)) for _ in range(100)]
    async with opened(memory=1 << 20, disk=1 << 20) as broker:
        small = (await broker.publish(items("small", 1)))[0].position
        for _ in range(3):
            await broker.publish(large)
            await broker.remove_history("nobody's")
            broker._cleaner.size = 1 << 22  # as the next checkpoint will find
            broker._enforce_limits(broker._clock())
            await asyncio.sleep(0.05)
        await until(lambda: broker.statistics()["log_publications_shed"] > 0)
        assert len((await broker.read_since("small", small._replace(offset=0, tag=""))).publications) == 1
        newest = (await broker.read_page("large")).position
        assert newest.offset == 300


@pytest.mark.parametrize("fails", [False, True])
async def test_the_log_is_synced_before_it_is_brought_in_and_nobody_waits_for_that(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    jobs: list[str] = []
    may_sync = threading.Event()

    def sync(_: StreamLog) -> None:
        assert may_sync.wait(10)
        jobs.append("synced")
        if fails:
            raise OSError("no descriptor is left")

    checkpoint = StreamLog.checkpoint

    def bring_in(log: StreamLog, *, truncate: bool = False) -> None:
        jobs.append("in")
        checkpoint(log, truncate=truncate)

    monkeypatch.setattr(StreamLog, "sync_ahead", sync)
    monkeypatch.setattr(StreamLog, "checkpoint", bring_in)
    monkeypatch.setattr(log_cleaner, "CHECKPOINT_BYTES", 3 * log_cleaner.COMMIT_BYTES)
    async with opened() as broker:
        for number in range(5):
            assert (await broker.publish(items("x", number)))[0].position.offset == number + 1
        assert jobs == []
        may_sync.set()
        await until(lambda: len(jobs) >= 2)
        assert jobs[:2] == ["synced", "in"]
        assert broker.trouble == ""


async def test_a_log_can_be_synced_beside_its_writer(opened: Opened) -> None:
    async with opened() as broker:
        await broker.publish(items("x", 1))
        await asyncio.to_thread(broker._data.log.sync_ahead)


async def test_a_removed_history_stays_removed(opened: Opened) -> None:
    async with opened() as broker:
        stored = await broker.publish(items("x", 1, 2))
        await broker.remove_history("x")
    async with opened() as broker:
        assert (await broker.read_page("x", None, 9)).publications == []
        assert (await broker.read_page("x")).position == stored[1].position


async def test_the_clock_set_back_over_a_restart_makes_nothing_younger(
    opened: Opened, clock: ManualClock, wall: ManualClock
) -> None:
    async with opened() as broker:
        position = (await broker.publish(items("x", 1)))[0].position._replace(offset=0, tag="")
    wall.advance(-86_400)
    clock.now = 5.0  # another boot: monotonic time begins anew
    async with opened() as broker:
        assert len((await broker.read_since("x", position)).publications) == 1
        clock.advance(61)
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", position)


async def test_a_closed_broker_says_so(opened: Opened) -> None:
    async with opened() as broker:
        pass
    with pytest.raises(BrokerError):
        await broker.publish(items("x", 1))


async def test_a_channel_whose_position_was_given_up_begins_in_a_new_epoch(opened: Opened) -> None:
    async with opened() as broker:
        broker._streams._limit = 2
        first = (await broker.publish(items("a", 1)))[0].position
        await broker.publish(items("b", 1))
        await broker.publish(items("c", 1))  # `a` is forgotten
        with pytest.raises(Unrecoverable):
            await broker.read_since("a", first)
    async with opened() as broker:
        again = (await broker.publish(items("a", 1)))[0].position
        assert again.offset == 1
        assert again.epoch != first.epoch


async def test_a_stream_with_a_publication_under_way_is_not_forgotten(opened: Opened) -> None:
    async with opened() as broker:
        broker._streams._limit = 2
        await broker.publish(items("a", 1))
        await broker.publish(items("b", 1))
        stored = await broker.publish([*items("a", 2), *items("new", 1)])
        assert stored[0].position.offset == 2
    async with opened() as broker:
        assert (await broker.read_page("a")).position == stored[0].position


async def test_many_rows_past_their_time_leave_as_fast_as_they_came(opened: Opened, clock: ManualClock) -> None:
    async with opened() as broker:
        for _ in range(5):
            await broker.publish(items("x", *range(2000)))
        clock.advance(100)
        broker._enforce_limits(broker._clock())
        await until(lambda: broker.statistics()["log_publications"] == 0)


async def test_one_publisher_alone_is_stored_in_its_own_step_and_several_in_one_commit(opened: Opened) -> None:
    sink = RecordingSink()
    told: list[int] = []

    def later(stored: Stored, error: Exception | None) -> None:
        assert error is None
        told.append(stored.position.offset)

    async with opened(sink) as broker:
        await broker.subscribe("x")
        (item,) = items("x", 1)
        assert broker.publish_now(item, later) is None  # it may be one of many
        await until(lambda: told == [1])
        stored = broker.publish_now(item, later)
        assert stored is not None
        assert (stored.position.offset, stored.ack, len(sink.publications)) == (2, "os", 2)
        here = 2
        while broker.publish_now(item, later) is not None:  # now and then it looks
            here += 1
        assert len(sink.publications) == here
        assert broker.publish_now(item, later) is None
        assert len(sink.publications) == here  # it would come before what was there first
        await until(lambda: told == [1, here + 1, here + 2])
        assert broker.publish_now(item, later) is None  # since there were two
        under_way = asyncio.ensure_future(broker.publish([item]))
        await under_way
        assert told == [1, here + 1, here + 2, here + 3]
        assert [p.offset for _, p in sink.publications] == list(range(1, here + 5))
    async with opened() as broker:
        assert (await broker.read_page("x")).position.offset == here + 4


async def test_what_goes_to_disk_is_not_stored_by_the_loop(opened: Opened) -> None:
    told: list[int] = []
    async with opened(ack="disk") as broker:
        (item,) = items("x", 1)
        await broker.publish([item])
        for _ in range(2):
            assert broker.publish_now(item, lambda stored, error: told.append(stored.position.offset)) is None
            await asyncio.sleep(0)
        await until(lambda: told == [2, 3])


async def test_a_repeated_key_and_what_is_not_kept_wait_for_nothing(opened: Opened) -> None:
    def never(stored: Stored, error: Exception | None) -> None:
        raise AssertionError("it was known at once")

    async with opened() as broker:
        keyed = replace(items("x", 1)[0], key="k")
        stored = await broker.publish([keyed])
        await asyncio.gather(*(broker.publish(items("y", n)) for n in range(2)))  # from now on all wait
        assert broker.publish_now(keyed, never) == stored[0]
        fleeting = broker.publish_now(items("x", 1, retention=Retention(0, 0))[0], never)
        assert fleeting is not None
        assert (fleeting.ack, fleeting.position.offset) == ("memory", 0)
