"""What holds for all tests."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.brokers.redis.processes import Server
from tests.waiting import patience

settings.register_profile("house", deadline=None)  # by itself an example has 200 ms, which a busy machine takes
settings.load_profile("house")


def pytest_configure() -> None:
    """Take SIGINT as a person at a terminal does: what a shell starts behind its back ignores it, and so would all
    that tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# What takes long goes first, so that no worker is left with it at the end: files that run for a minute, then folders by
# how long their files take. By itself xdist begins with the files that have most tests, which are the quickest here.
LONGEST_FIRST = (
    "installing/test_beside.py",
    "docs/test_frameworks.py",
    "gateway/workers/test_workers.py",
    "browser/test_emit.py",
    "browser/test_demo.py",
    "brokers/redis/test_access.py",
    "gateway/test_every_setting.py",
    "publisher/test_projects.py",
    "publisher/test_everywhere.py",
    "faults/test_campaign.py",
    "browser/",
    "docs/",
    "cli/",
    "installing/",
    "gateway/",
    "redis_publisher/test_routing.py",
    "redis_publisher/test_failures.py",
    "conformance/",
    "compat/",
    "faults/",
    "examples/",
    "benchmarks/",
    "brokers/redis/",
    "redis_publisher/",
    "brokers/",
    "publisher/",
    "client_io/",
    "hub/test_laws.py",
    "hub/test_lagging_sessions.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; within a file and among equals nothing changes."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(here).as_posix()
        return next(
            (number for number, first in enumerate(LONGEST_FIRST) if path.startswith(first)), len(LONGEST_FIRST)
        )

    items.sort(key=rank)


# How long a test may take where no mark says otherwise. Pages wait for a minute for each thing that is to come about.
TEST_SECONDS, BROWSER_TEST_SECONDS = 60.0, 180.0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Give each test the time that this machine takes for it, see `patience`; before pytest-timeout looks."""
    marked = item.get_closest_marker("timeout")
    seconds = BROWSER_TEST_SECONDS if item.get_closest_marker("browser") else TEST_SECONDS
    item.add_marker(pytest.mark.timeout(patience(marked.args[0] if marked else seconds)), append=False)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the Chromium that browser tests share before a test that may need what Playwright keeps from it: asyncio."""
    if not item.get_closest_marker("browser"):
        end_chromium()


def pytest_unconfigure() -> None:
    end_chromium()


def end_chromium() -> None:
    if (chromium := sys.modules.get("tests.browser.chromium")) is not None:  # else nobody has imported it
        chromium.end_chromium()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A Redis that the test may do anything to."""
    made = Server(tmp_path)
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def nothing_left_for_later() -> Iterator[None]:
    """What a test has left to `flow.later` is sent to nobody: its thread would go on beside all tests that follow."""
    yield
    for thread in threading.enumerate():
        if thread.name == "messageflow-later":
            sender = thread._target.__self__  # type: ignore[attr-defined]
            if sender.stats.waiting:
                perform, sender._perform = sender._perform, lambda call: []
                sender.flush(5)
                sender._perform = perform
