"""Redis servers of the tests' own, and brokers over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from messageflow.brokers.redis.broker import RedisBroker
from messageflow.brokers.redis.connections.connector import Connector, split_urls
from messageflow.gateway.broker_start import start_patiently
from messageflow.testing.broker_suite import RecordingSink
from tests.brokers.redis.certificates import Authority
from tests.brokers.redis.servers import Cluster, Trio
from tests.brokers.redis.servers import Server as Server  # for those that import it from here


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The shared server, emptied."""
    with shared_server.client() as client:
        client.flushall()
    return shared_server


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Trio]:
    made = Trio(tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture
def shared_cluster(running_cluster: Cluster) -> Cluster:
    """Three primaries that all tests share, emptied. Nobody may kill one or move a slot."""
    running_cluster.flush()
    return running_cluster


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three primaries with a replica each, that the test may do anything to."""
    made = Cluster(tmp_path, replicas=True)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


Opened = Callable[..., AbstractAsyncContextManager[RedisBroker]]
_numbers = count(1)
PATIENCE = 30.0  # seconds for a start on a busy machine, however short the deadline of a test is


def broker_at(url: str, **options: Any) -> RedisBroker:
    sources = [Connector(each, options.get("deadline", 5.0)) for each in split_urls(url)]
    return RedisBroker(sources, f"node-{next(_numbers)}", **options)


@pytest.fixture
def opened() -> Opened:
    @asynccontextmanager
    async def open_broker(
        server: Server, sink: RecordingSink | None = None, **options: Any
    ) -> AsyncIterator[RedisBroker]:
        made = broker_at(server.url, **options)
        await start_patiently(partial(made.start, sink or RecordingSink()), PATIENCE)
        try:
            yield made
        finally:
            await made.close()

    return open_broker
