"""What the embedded broker does with a data directory it should not trust."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from messageflow.brokers.embedded import data_directory
from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.brokers.embedded.truncation_detection import Mark, TailMark
from messageflow.core.stream import Position
from messageflow.errors import ConfigurationError, Unrecoverable
from messageflow.testing.broker_suite import RecordingSink, items
from messageflow.testing.clock import ManualClock
from tests.brokers.embedded.conftest import Opened

PUBLISH_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.testing.broker_suite import RecordingSink, items

async def main():
    broker = EmbeddedBroker(Path(sys.argv[1]), ack=sys.argv[2])
    await broker.start(RecordingSink())
    for number in range(50):
        stored = await broker.publish(items("x", number))
    print(stored[0].position.epoch, stored[0].position.offset, stored[0].position.tag, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def crash(data_dir: Path, ack: str = "os") -> Position:
    """Publish 50 times in a process that is killed after its last receipt. Returns where the stream stood."""
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH_AND_DIE, str(data_dir), ack], capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    epoch, offset, tag = done.stdout.split()
    return Position(epoch, int(offset), tag)


@pytest.fixture
def another_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine have been started anew, which loses what was not synced."""
    monkeypatch.setattr(data_directory, "read_boot_id", lambda: "another boot")


async def test_a_killed_process_loses_nothing_it_acknowledged(
    data_dir: Path, opened: Opened, wall: ManualClock
) -> None:
    wall.now = time.time()
    position = crash(data_dir)
    async with opened() as broker:
        assert (await broker.read_page("x")).position == position
        assert [
            p.offset for p in (await broker.read_since("x", position._replace(offset=49, tag=""))).publications
        ] == [50]


async def test_a_power_cut_may_have_lost_what_only_the_system_had(
    data_dir: Path, opened: Opened, another_boot: None, caplog: pytest.LogCaptureFixture
) -> None:
    position = crash(data_dir)
    async with opened() as broker:
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", position)
        assert (await broker.read_page("x", None, 100)).position.offset == 50
    assert "the machine stopped" in caplog.records[0].__dict__["why"]


async def test_a_power_cut_loses_nothing_that_was_synced(data_dir: Path, opened: Opened, another_boot: None) -> None:
    position = crash(data_dir, "disk")
    async with opened() as broker:
        assert (await broker.read_page("x")).position == position


@pytest.mark.slow
async def test_no_power_cut_takes_back_what_was_synced(
    data_dir: Path, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every state a disk may be in after a power cut: what was not synced is there, is not, or is there in part."""
    async with opened(ack="disk") as broker:
        at_start = (data_dir / "streams.tail").read_bytes()
        acknowledged = (await broker.publish(items("x", *range(20))))[-1].position
        synced, mark = (data_dir / "streams.db-wal").read_bytes(), (data_dir / "streams.tail").read_bytes()
        await broker.publish(items("x", *range(20, 23)))
        later = (data_dir / "streams.db-wal").read_bytes()
        database = (data_dir / "streams.db").read_bytes()
    assert later.startswith(synced)
    monkeypatch.setattr(data_directory, "read_boot_id", lambda: "another boot")
    cuts = [*range(len(synced), len(later), 509), len(later)]
    for number, cut in enumerate(cuts):
        for kept_mark in (at_start, mark):
            for rest in (b"", b"\0" * (len(later) - cut), os.urandom(len(later) - cut)):
                state = tmp_path / f"{number}"
                state.mkdir()
                (state / "streams.db").write_bytes(database)
                (state / "streams.db-wal").write_bytes(later[:cut] + rest)
                (state / "streams.tail").write_bytes(kept_mark)
                broker = EmbeddedBroker(state, ack="disk", wall=lambda: 1_800_000_000.0)
                await broker.start(RecordingSink())
                position = (await broker.read_page("x")).position
                assert position.epoch == acknowledged.epoch, (cut, kept_mark == mark)
                assert position.offset >= acknowledged.offset
                assert len((await broker.read_since("x", acknowledged._replace(offset=0, tag=""))).publications) >= 20
                await broker.close()
                shutil.rmtree(state)


async def test_a_clean_end_is_whole_on_any_boot(
    data_dir: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as broker:
        position = (await broker.publish(items("x", 1)))[0].position
    monkeypatch.setattr(data_directory, "read_boot_id", lambda: "another boot")
    async with opened() as broker:
        assert (await broker.read_page("x")).position == position


@pytest.mark.parametrize("how", ["wal gone", "wal cut", "mark gone", "mark damaged", "an older copy", "sealed"])
async def test_a_log_that_may_have_lost_its_end_goes_on_in_a_new_epoch(
    data_dir: Path, opened: Opened, how: str
) -> None:
    async with opened() as broker:
        await broker.publish(items("x", 1))
    copy = (data_dir / "streams.db").read_bytes()
    position = crash(data_dir)
    wal, mark = data_dir / "streams.db-wal", data_dir / "streams.tail"
    if how == "wal gone":
        wal.unlink()
    elif how == "wal cut":
        os.truncate(wal, wal.stat().st_size // 2)
    elif how == "mark gone":
        mark.unlink()
    elif how == "mark damaged":
        mark.write_bytes(b"\xff" * 4096)
    elif how == "an older copy":
        wal.unlink()
        (data_dir / "streams.db").write_bytes(copy)
    else:
        (data_dir / "streams.failed").touch()
    async with opened() as broker:
        assert (await broker.read_page("x")).position.epoch != position.epoch
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", position)
        after = (await broker.publish(items("x", 9)))[0].position
    async with opened() as broker:
        assert (await broker.read_page("x")).position == after  # and the new epoch lasts


@pytest.mark.parametrize("content", [b"this is a letter, not a database\n" * 200, b"\0" * 8192])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(
    data_dir: Path, opened: Opened, content: bytes
) -> None:
    data_dir.mkdir()
    (data_dir / "streams.db").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"streams\.db.*Move it away"):
        async with opened(reset_damaged=True):
            pass
    assert (data_dir / "streams.db").read_bytes() == content


async def test_a_database_of_another_program_is_refused(data_dir: Path, opened: Opened) -> None:
    data_dir.mkdir()
    database = sqlite3.connect(data_dir / "streams.db")
    database.execute("CREATE TABLE customers (name)")
    database.close()
    with pytest.raises(ConfigurationError, match="another program"):
        async with opened(reset_damaged=True):
            pass


async def test_a_log_of_a_newer_version_is_refused(data_dir: Path, opened: Opened) -> None:
    async with opened():
        pass
    database = sqlite3.connect(data_dir / "streams.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ConfigurationError, match="another version"):
        async with opened(reset_damaged=True):
            pass


def flip(path: Path, needle: bytes) -> None:
    """Change one bit of a payload within the file, where SQLite does not look."""
    content = bytearray(path.read_bytes())
    content[content.index(needle)] ^= 1
    path.write_bytes(content)


async def damage(data_dir: Path, opened: Opened, how: str) -> Position:
    async with opened() as broker:
        stored = await broker.publish(items("x", *range(2000), 123_456_789))
    path = data_dir / "streams.db"
    if how == "bit flip":
        flip(path, b"123456789")
    elif how == "truncated":
        os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    elif how == "scribbled":
        content = bytearray(path.read_bytes())
        content[8192:16384] = os.urandom(8192)
        path.write_bytes(content)
    else:
        database = sqlite3.connect(path)
        database.execute("DELETE FROM log WHERE id = 1000")
        database.commit()
        database.close()
    return stored[-1].position


@pytest.mark.parametrize("how", ["bit flip", "truncated", "scribbled", "a row missing"])
async def test_a_damaged_log_is_refused_and_said_which(data_dir: Path, opened: Opened, how: str) -> None:
    await damage(data_dir, opened, how)
    with pytest.raises(ConfigurationError, match=r"streams\.db is damaged: .*--reset-damaged"):
        async with opened():
            pass
    assert (data_dir / "streams.db").exists()


@pytest.mark.parametrize("how", ["bit flip", "truncated", "scribbled", "a row missing"])
async def test_a_damaged_log_is_set_aside_when_told(data_dir: Path, opened: Opened, how: str) -> None:
    position = await damage(data_dir, opened, how)
    async with opened(reset_damaged=True) as broker:
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", position)
        assert (await broker.publish(items("x", 1)))[0].position.offset == 1
    assert len(list(data_dir.glob("streams.db.damaged-*"))) == 1


async def test_a_row_damaged_while_it_runs_is_never_served(data_dir: Path, opened: Opened) -> None:
    async with opened() as broker:
        stored = await broker.publish(items("x", 111_111_111, 222_222_222, 333_333_333))
    async with opened(memory=1 << 20) as broker:
        stream = broker._streams.get("x")
        assert stream is not None
        stream.clear()  # as if there were no room for it
        flip(data_dir / "streams.db", b"222222222")
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", stored[0].position)
        assert (await broker.read_page("x", None, 9)).publications[0].data == b"111111111"
        assert len((await broker.read_page("x", None, 9)).publications) == 1


async def test_a_data_directory_belongs_to_one_process(opened: Opened) -> None:
    async with opened():
        with pytest.raises(ConfigurationError, match=rf"by another gateway \(process {os.getpid()}\): end that one"):
            async with opened():
                pass
    async with opened():
        pass


async def test_a_data_directory_that_cannot_be_made_is_refused(data_dir: Path, opened: Opened) -> None:
    data_dir.write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        async with opened():
            pass


def test_the_mark_survives_a_write_that_was_cut_short(tmp_path: Path) -> None:
    tail = TailMark(tmp_path / "tail")
    assert tail.read() is None
    tail.write(Mark("boot", 1, "aa"))
    tail.write(Mark("boot", 2, "bb", synced=True))
    tail.close()
    content = bytearray((tmp_path / "tail").read_bytes())
    for slot in (0, 256):
        broken = bytearray(content)
        broken[slot + 40] ^= 1
        (tmp_path / "tail").write_bytes(broken)
        found = TailMark(tmp_path / "tail").read()
        assert found in (Mark("boot", 1, "aa"), Mark("boot", 2, "bb", synced=True))
