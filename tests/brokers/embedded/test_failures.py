"""A disk that is full or fails: nothing is acknowledged that is not stored, and all else goes on."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from messageflow.brokers.base import Stored
from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.brokers.embedded.log import STATEMENT_VALUES, StreamLog
from messageflow.brokers.embedded.rows import PLAIN, make_rows
from messageflow.core.stream import Publication, Retention, Stream
from messageflow.errors import NoRoom, Unanswered
from messageflow.testing.broker_suite import KEPT, RecordingSink, items, until
from tests.brokers.embedded.conftest import Opened


class Disk:
    """Lets appends fail as the disk would, in place of the log's own."""

    def __init__(self, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failure: str | None = None
        append = broker._data.log.append

        def fail_or_append(*values: Any) -> None:
            if self.failure is not None:
                error = sqlite3.OperationalError("as a test wants it")
                error.sqlite_errorname = self.failure
                raise error
            append(*values)

        monkeypatch.setattr(broker._data.log, "append", fail_or_append)


async def test_a_full_disk_refuses_and_heals(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = RecordingSink()
    async with opened(sink) as broker:
        await broker.subscribe("x")
        disk = Disk(broker, monkeypatch)
        first = (await broker.publish(items("x", 1)))[0].position
        disk.failure = "SQLITE_FULL"
        keyed = replace(items("x", 2)[0], key="k")
        outcomes = await asyncio.gather(
            broker.publish(items("x", *range(100))), broker.publish([keyed]), return_exceptions=True
        )
        assert all(isinstance(each, NoRoom) and "storage_full" in str(each) for each in outcomes)
        assert len((await broker.read_page("x", None, 9)).publications) == 1
        assert broker.trouble == ""
        disk.failure = None
        after = (await broker.publish([keyed]))[0].position
        assert (after.epoch, after.offset) == (first.epoch, 2)
        assert [p.data for _, p in sink.publications] == [b"1", b"2"]
        assert broker.statistics()["publications_not_stored"] == 101
    async with opened() as broker:
        assert (await broker.read_page("x")).position == after


@pytest.mark.parametrize("failure", ["SQLITE_IOERR_FSYNC", "SQLITE_IOERR_WRITE", "SQLITE_CORRUPT"])
async def test_a_failed_disk_ends_all_storing_for_good(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, failure: str, data_dir: Path
) -> None:
    async with opened() as broker:
        disk = Disk(broker, monkeypatch)
        keyed = replace(items("x", 1)[0], key="k")
        position = (await broker.publish([keyed]))[0].position
        disk.failure = failure
        with pytest.raises(Unanswered, match="storage_failed"):
            await broker.publish(items("x", 2))  # it may be found at the next start, or not
        disk.failure = None  # what the disk says from now on proves nothing
        with pytest.raises(NoRoom, match="storage_failed"):
            await broker.publish(items("x", 3))
        assert (await broker.publish([keyed]))[0].position == position  # that one is stored, whatever came later
        assert "storage_failed" in broker.trouble
        assert len((await broker.read_page("x", None, 9)).publications) == 1
    async with opened() as broker:
        assert (await broker.read_page("x")).position.epoch != position.epoch


async def test_a_log_locked_by_another_program_refuses_for_the_time_being(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as broker:
        disk = Disk(broker, monkeypatch)
        disk.failure = "SQLITE_BUSY"
        with pytest.raises(NoRoom, match="storage_locked"):
            await broker.publish(items("x", 1))
        disk.failure = None
        assert (await broker.publish(items("x", 1)))[0].position.offset == 1


async def test_a_key_of_what_was_not_stored_is_not_remembered(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as broker:
        disk = Disk(broker, monkeypatch)
        item = replace(items("x", 1, retention=KEPT)[0], key="k")
        disk.failure = "SQLITE_FULL"
        with pytest.raises(NoRoom):
            await broker.publish([item])
        disk.failure = None
        assert (await broker.publish([item]))[0].position.offset == 1
        assert len((await broker.read_page("x", None, 9)).publications) == 1


async def test_what_is_stored_is_stored_whatever_becomes_of_others(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as broker:
        disk = Disk(broker, monkeypatch)
        keyed = replace(items("x", 1)[0], key="k")
        first = await broker.publish([keyed])
        disk.failure = "SQLITE_FULL"
        others, again = await asyncio.gather(
            broker.publish(items("y", 1)), broker.publish([keyed]), return_exceptions=True
        )
        assert isinstance(others, NoRoom)
        assert again == first


async def test_what_waits_for_a_hanging_disk_is_bounded(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messageflow.brokers.embedded.broker.STAGED_BYTES", 99 * 252)
    async with opened(ack="disk") as broker:
        begun, go_on = threading.Event(), threading.Event()
        append = broker._data.log.append

        def hang(*values: Any) -> None:
            begun.set()
            go_on.wait(20)
            append(*values)

        monkeypatch.setattr(broker._data.log, "append", hang)
        waiting = [asyncio.ensure_future(broker.publish(items("x", 0)))]
        await asyncio.to_thread(begun.wait, 20)  # it is being stored, and the others wait for the round after it
        waiting += [asyncio.ensure_future(broker.publish(items("x", number))) for number in range(100)]
        await asyncio.sleep(0.05)
        with pytest.raises(NoRoom, match="storage_slow"):
            await broker.publish(items("x", 1))
        go_on.set()
        stored = await asyncio.gather(*waiting)
        assert [each[0].position.offset for each in stored] == list(range(1, 102))


@pytest.mark.parametrize("fails", [False, True])
async def test_a_retry_is_answered_when_the_first_is_stored_and_never_before(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    async with opened(ack="disk") as broker:
        begun, go_on = threading.Event(), threading.Event()
        append = broker._data.log.append

        def hang(*values: Any) -> None:
            begun.set()
            go_on.wait(20)
            if fails:
                error = sqlite3.OperationalError("as a test wants it")
                error.sqlite_errorname = "SQLITE_FULL"
                raise error
            append(*values)

        monkeypatch.setattr(broker._data.log, "append", hang)
        keyed = replace(items("x", 1)[0], key="k")
        tries = [asyncio.ensure_future(broker.publish([keyed]))]
        await asyncio.to_thread(begun.wait, 20)
        tries.append(asyncio.ensure_future(broker.publish([keyed])))  # while the first is being stored
        others = replace(items("x", 2)[0], key="other")
        tries += [asyncio.ensure_future(broker.publish([others])) for _ in range(2)]  # in the round after it
        _, waiting = await asyncio.wait(tries, timeout=0.1)
        assert waiting == set(tries)
        go_on.set()
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        if fails:
            assert all(isinstance(outcome, NoRoom) for outcome in outcomes)
        else:
            offsets = [outcome[0].position.offset for outcome in outcomes if not isinstance(outcome, BaseException)]
            assert offsets == [1, 1, 2, 2]


def test_rows_are_stored_all_or_none(tmp_path: Path) -> None:
    log = StreamLog(tmp_path / "log", synced=False)
    many = STATEMENT_VALUES // PLAIN + 10
    kept, stream = Publication(1, "tag", 1.0, b"0"), Stream("e", size=KEPT.size, ttl=KEPT.ttl)
    twice = [(number, "x", stream, kept, KEPT, "") for number in (*range(1, many), 1)]  # the last is there
    with pytest.raises(sqlite3.IntegrityError):
        log.append(make_rows(twice))
    assert list(log.read_rows()) == []
    log.append(make_rows(twice[:-1]))
    assert [row.id for row in log.read_rows()] == list(range(1, many))
    with pytest.raises(sqlite3.IntegrityError):
        log.append(make_rows(twice[:1]))
    log.drop([1, 2], [2], 5.0)
    assert [floor.position.offset for floor in log.read_floors()] == [1]
    log.close()


def test_unlike_rows_are_stored_as_they_are_all_or_none(tmp_path: Path) -> None:
    log, entries = StreamLog(tmp_path / "log", synced=False), []
    extras: list[dict[str, Any]] = [{}, {"info": b'{"a":1}'}, {"tags": b'{"b":2}'}, {"exclude": "c"}]
    for number in range(1, 25):  # like its neighbours in as good as nothing
        publication = Publication(
            number, f"t{number}", float(number), b"%d" % number, flags=number % 3, **extras[number % 4]
        )
        retention = Retention(10 + number % 2, 60.0 + number // 12)
        stream = Stream(f"e{number // 20}", size=retention.size, ttl=retention.ttl)
        entries.append((number, f"channel-{number}", stream, publication, retention, f"key-{number % 5}"))
    with pytest.raises(sqlite3.IntegrityError):
        log.append(make_rows([*entries, entries[0]]))
    assert list(log.read_rows()) == []
    log.append(make_rows(entries))
    found = [(row.id, row.channel, row.epoch, row.publication, row.retention, row.key) for row in log.read_rows()]
    assert found == [
        (number, channel, stream.epoch, publication, retention, key)
        for number, channel, stream, publication, retention, key in entries
    ]
    assert all(row.is_sound for row in log.read_rows())
    log.close()


def test_what_differs_from_publisher_to_publisher_makes_no_rows_unlike() -> None:
    stream = Stream("e", size=KEPT.size, ttl=KEPT.ttl)
    sent = [Publication(number, f"t{number}", float(number), b"0", b"%d" % number) for number in range(1, 9)]
    assert len(make_rows([(number, "x", stream, each, KEPT, "") for number, each in enumerate(sent)])) == 1


def forbid(stored: Stored, error: Exception | None) -> None:
    raise AssertionError("it was done in its own step")


async def test_what_was_not_stored_in_its_own_step_is_given_back_and_forgotten(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RecordingSink()
    async with opened(sink) as broker:
        await broker.subscribe("x")
        disk = Disk(broker, monkeypatch)
        first, item = items("x", 1)[0], replace(items("x", 2)[0], key="k")
        await broker.publish([first])  # nobody came along with it
        disk.failure = "SQLITE_FULL"
        with pytest.raises(NoRoom, match="storage_full"):
            broker.publish_now(item, forbid)
        disk.failure = None
        stored = broker.publish_now(item, forbid)
        assert stored is not None
        assert stored.position.offset == 2
        assert broker.publish_now(item, forbid) == stored
        assert [p.data for _, p in sink.publications] == [b"1", b"2"]
        disk.failure = "SQLITE_IOERR_FSYNC"
        with pytest.raises(Unanswered, match="storage_failed"):
            broker.publish_now(first, forbid)
        with pytest.raises(NoRoom, match="storage_failed"):
            broker.publish_now(first, forbid)
        assert broker.publish_now(item, forbid) == stored


async def test_of_what_was_not_stored_with_others_each_is_told(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def later(stored: Stored, error: Exception | None) -> None:
        told.append(type(error).__name__)

    async with opened() as broker:
        disk = Disk(broker, monkeypatch)
        keyed = replace(items("x", 1)[0], key="k")
        disk.failure = "SQLITE_FULL"
        assert [broker.publish_now(item, later) for item in (keyed, keyed, *items("y", 2))] == [None] * 3
        assert not told
        await until(lambda: told == ["NoRoom"] * 3)
        disk.failure = None
        assert (await broker.publish([keyed]))[0].position.offset == 1
