"""What holds for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.redis.processes import Server


def pytest_configure() -> None:
    """Take SIGINT as a person at a terminal does: what a shell starts behind its back ignores it, and so would all
    that tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A Redis that the test may do anything to."""
    made = Server(tmp_path)
    yield made
    made.stop()
