"""An embedded broker over a data directory, with time that moves when a test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.testing.broker_suite import RecordingSink
from messageflow.testing.clock import ManualClock

Opened = Callable[..., AbstractAsyncContextManager[EmbeddedBroker]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def wall() -> ManualClock:
    return ManualClock(1_800_000_000.0)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def opened(data_dir: Path, clock: ManualClock, wall: ManualClock) -> Opened:
    """Open a broker on the data directory and close it cleanly; crashing is a process's business."""

    @asynccontextmanager
    async def open_broker(sink: RecordingSink | None = None, **options: Any) -> AsyncIterator[EmbeddedBroker]:
        made = EmbeddedBroker(data_dir, clock=clock, wall=wall, **options)
        await made.start(sink or RecordingSink())
        try:
            yield made
        finally:
            await made.close()

    return open_broker
