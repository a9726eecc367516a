"""What is said of open files, and how often."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from messageflow.gateway import file_watch
from messageflow.gateway.file_watch import CALM, FileWatch
from messageflow.gateway.front_door.file_room import FileRoom
from messageflow.gateway.open_files import OpenFilesLimit

LIMIT, FEW, MANY = 200, 50, 190


def look(monkeypatch: pytest.MonkeyPatch, moments: Sequence[tuple[float, int]]) -> None:
    """Look at so many open files at some seconds."""
    monkeypatch.setattr(file_watch, "read_limit", lambda: OpenFilesLimit(LIMIT, LIMIT))
    watch = FileWatch(FileRoom(LIMIT), lambda: None, lambda: None)

    async def go() -> None:
        began = asyncio.get_running_loop().time()
        for seconds, found in moments:
            monkeypatch.setattr(file_watch, "count_open", lambda found=found: found)
            monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda at=began + seconds: at)
            watch.start()
            watch.stop()

    asyncio.run(go())


def count_warnings(caplog: pytest.LogCaptureFixture) -> int:
    return [record.message for record in caplog.records].count("open_files_near")


def test_a_crowd_that_comes_and_goes_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "messageflow.gateway"):
        look(monkeypatch, [(second, MANY if second % 2 else FEW) for second in range(100)])
    assert count_warnings(caplog) == 1


def test_the_next_crowd_is_said_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "messageflow.gateway"):
        look(monkeypatch, [(0, MANY), (1, FEW), (2 + CALM, MANY)])
    assert count_warnings(caplog) == 2
