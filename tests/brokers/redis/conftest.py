"""A Redis server of the tests' own, on a free port, and brokers over it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from messageflow.brokers.redis.broker import RedisBroker
from messageflow.brokers.redis.urls import connections
from messageflow.testing.broker_suite import RecordingSink

START_SECONDS = 10.0


class Server:
    """One `redis-server` process."""

    def __init__(self, directory: Path, *arguments: str, configuration: Path | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.directory = directory
        self.configuration = configuration  # of a Sentinel, which keeps no data
        self.arguments = arguments
        self.process: subprocess.Popen[bytes]
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        executable = shutil.which("redis-server")
        assert executable, "redis-server is missing: apt-get install redis-server"
        self.process = subprocess.Popen(
            [
                executable,
                *((str(self.configuration), "--sentinel") if self.configuration else ()),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)),
                *(() if self.configuration else ("--save", "", "--appendonly", "no")),
                *self.arguments,
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except Exception:
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.02)

    def client(self) -> Redis:
        return Redis(port=self.port)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


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
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test may do anything to."""
    made = Server(tmp_path)
    yield made
    made.stop()


Opened = Callable[..., AbstractAsyncContextManager[RedisBroker]]
_numbers = count(1)


def broker_at(url: str, **options: Any) -> RedisBroker:
    return RedisBroker(connections(url, options.get("deadline", 5.0)), f"node-{next(_numbers)}", **options)


@pytest.fixture
def opened() -> Opened:
    @asynccontextmanager
    async def open_broker(
        server: Server, sink: RecordingSink | None = None, **options: Any
    ) -> AsyncIterator[RedisBroker]:
        made = broker_at(server.url, **options)
        await made.start(sink or RecordingSink())
        try:
            yield made
        finally:
            await made.close()

    return open_broker
