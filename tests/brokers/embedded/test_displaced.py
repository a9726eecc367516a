"""Files that are removed, renamed or replaced while they are open: no receipt for what nobody will find again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.errors import BrokerError, NoRoom
from messageflow.testing.broker_suite import RecordingSink, items, until
from tests.brokers.embedded.conftest import Opened

FILES = ("streams.db", "streams.db-wal", "streams.db-shm", "streams.tail", "streams.lock")


def remove_all(directory: Path) -> None:
    shutil.rmtree(directory)


def rename_all(directory: Path) -> None:
    directory.rename(directory.with_name("elsewhere"))


def replace_all(directory: Path) -> None:
    rename_all(directory)
    shutil.copytree(directory.with_name("elsewhere"), directory)


def empty(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()


def remove(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


def replace(name: str) -> Callable[[Path], None]:
    def replace_one(directory: Path) -> None:
        shutil.copy(directory / name, directory / "draft")
        (directory / "draft").replace(directory / name)

    return replace_one


WAYS = {
    "removed": remove_all,
    "renamed": rename_all,
    "replaced": replace_all,
    "emptied": empty,
    **{f"{name} removed": remove(name) for name in FILES},
    **{f"{name} replaced": replace(name) for name in FILES},
}


async def is_refused(broker: EmbeddedBroker) -> None:
    with pytest.raises(BrokerError, match=r"storage_displaced: .* restart the gateway"):
        await broker.publish(items("x", 2))
    with pytest.raises(NoRoom, match="storage_displaced"):
        await broker.publish(items("y", 3))
    assert "storage_displaced" in broker.trouble


@pytest.mark.parametrize("ack", ["os", "disk"])
@pytest.mark.parametrize("way", WAYS)
async def test_the_next_receipt_is_refused(opened: Opened, data_dir: Path, way: str, ack: str) -> None:
    async with opened(ack=ack) as broker:
        await broker.publish(items("x", 1))
        WAYS[way](data_dir)
        await is_refused(broker)
        assert [p.data for p in (await broker.read_page("x", None, 9)).publications][:1] == [b"1"]


async def test_a_receipt_given_before_is_not_given_again(opened: Opened, data_dir: Path) -> None:
    async with opened() as broker:
        keyed = structs.replace(items("x", 1)[0], key="k")
        receipt = await broker.publish([keyed])
        rename_all(data_dir)
        with pytest.raises(NoRoom, match="storage_displaced"):
            await broker.publish([keyed])
        data_dir.with_name("elsewhere").rename(data_dir)
        broker._enforce_limits(0.0)
        await until(lambda: broker.trouble == "")
        assert await broker.publish([keyed]) == receipt


async def test_it_is_noticed_without_a_publish(opened: Opened, data_dir: Path) -> None:
    async with opened() as broker:
        remove_all(data_dir)
        await until(lambda: "storage_displaced" in broker.trouble)


async def test_a_log_that_was_cut_short_is_noticed(opened: Opened, data_dir: Path) -> None:
    async with opened() as broker:
        await broker.publish(items("x", 1))
        (data_dir / "streams.db").write_bytes(b"")
        await until(lambda: "streams.db was cut short" in broker.trouble)


async def test_what_is_put_back_is_gone_on_with_and_nothing_is_lost_or_doubled(opened: Opened, data_dir: Path) -> None:
    sink = RecordingSink()
    async with opened(sink) as broker:
        await broker.subscribe("x")
        keyed = [structs.replace(each, key="k") for each in items("x", 2)]
        first = (await broker.publish(items("x", 1)))[0].position
        rename_all(data_dir)
        with pytest.raises(BrokerError):
            await broker.publish(keyed)
        data_dir.with_name("elsewhere").rename(data_dir)
        await until(lambda: broker.trouble == "")
        again = (await broker.publish(keyed))[0].position
        last = (await broker.publish(items("x", 3)))[0].position
        assert [p.data for _, p in sink.publications] == [b"1", b"2", b"3"]
        assert (again.offset, last.offset, last.epoch) == (2, 3, first.epoch)
    async with opened() as broker:
        assert (await broker.read_page("x")).position == last
        assert [p.data for p in (await broker.read_since("x", first)).publications] == [b"2", b"3"]


async def test_other_files_may_come_and_go(opened: Opened, data_dir: Path) -> None:
    async with opened() as broker:
        for number in range(3):
            (data_dir / "dev.json").write_text("{}")
            await broker.publish(items("x", number))
            (data_dir / "dev.json").unlink()
            await broker.publish(items("x", number))
        assert broker.trouble == ""
