"""The versions of documents: known over restarts, and never of what was not stored."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from messageflow.brokers.embedded.data_directory import LOG, SEAL
from messageflow.core.stream import Item
from messageflow.core.versions import Version
from messageflow.errors import NoRoom
from messageflow.testing.broker_suite import KEPT
from messageflow.testing.clock import ManualClock
from tests.brokers.embedded.conftest import Opened


def versioned(number: int, epoch: str = "") -> list[Item]:
    return [Item("x", str(number).encode(), KEPT, version=Version(number, epoch))]


async def test_a_version_outlives_a_restart_and_the_publication_it_came_with(
    opened: Opened, clock: ManualClock
) -> None:
    async with opened() as broker:
        [stands] = await broker.publish(versioned(5, "a"))
        clock.advance(200)
        broker._enforce_limits(clock())
        await broker._writer.call(lambda: None)
        assert broker.statistics()["log_publications"] == 0
    async with opened() as broker:
        assert await broker.publish(versioned(5, "a")) == [stands]
        assert (await broker.publish(versioned(6, "a")))[0].position.offset == 2


async def test_a_version_is_known_of_a_log_that_goes_on_in_a_new_epoch(opened: Opened, data_dir: Path) -> None:
    async with opened() as broker:
        [before] = await broker.publish(versioned(5))
    (data_dir / SEAL).touch()
    async with opened() as broker:
        [stands] = await broker.publish(versioned(5))
        assert (stands.position.offset, stands.position.epoch == before.position.epoch) == (1, False)


async def test_a_version_is_forgotten_with_its_stream(opened: Opened) -> None:
    async with opened() as broker:
        broker._streams._limit = 1
        await broker.publish(versioned(5))
        await broker.publish([Item("y", b"1", KEPT)])
        assert (await broker.publish(versioned(2)))[0].position.offset == 1
    async with opened() as broker:
        assert (await broker.publish(versioned(1)))[0].position.offset == 1
        assert (await broker.publish(versioned(3)))[0].position.offset == 2


async def test_a_file_of_an_earlier_version_knows_no_versions_and_learns_them(opened: Opened, data_dir: Path) -> None:
    async with opened() as broker:
        await broker.publish(versioned(5))
    with sqlite3.connect(data_dir / LOG) as database:
        database.execute("DROP TABLE versions")
    database.close()
    for offset in (2, 2):
        async with opened() as broker:
            assert (await broker.publish(versioned(5)))[0].position.offset == offset


@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_passed_over_is_answered_when_the_newer_is_stored_and_never_before(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    async with opened(ack="disk") as broker:
        await broker.publish(versioned(1))
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

        with monkeypatch.context() as patched:
            patched.setattr(broker._data.log, "append", hang)
            tries = [asyncio.ensure_future(broker.publish(versioned(5)))]
            await asyncio.to_thread(begun.wait, 20)
            tries += [asyncio.ensure_future(broker.publish(versioned(each))) for each in (4, 7, 6)]
            _, waiting = await asyncio.wait(tries, timeout=0.1)
            assert waiting == set(tries)
            go_on.set()
            outcomes = await asyncio.gather(*tries, return_exceptions=True)
        if fails:
            assert all(isinstance(outcome, NoRoom) for outcome in outcomes)
            assert (await broker.publish(versioned(1)))[0].position.offset == 1
            assert (await broker.publish(versioned(2)))[0].position.offset == 2
        else:
            assert [each[0].position.offset for each in outcomes if isinstance(each, list)] == [2, 2, 3, 3]
