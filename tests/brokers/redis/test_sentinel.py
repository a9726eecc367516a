"""A primary that dies, and Sentinel, which names another: pushes go on, and nothing the other lacks is passed over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from messageflow.brokers.base import Broker
from messageflow.core.stream import Position
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.testing.broker_suite import RecordingSink, items, until
from tests.brokers.redis.conftest import Server, broker_at

SECONDS = 20.0


class Trio:
    """A primary, its replica, and a Sentinel that watches them."""

    def __init__(self, directory: Path) -> None:
        self.servers: list[Server] = []
        self.primary = self._server(directory / "primary")
        self.replica = self._server(directory / "replica", "--replicaof", "127.0.0.1", str(self.primary.port))
        configuration = directory / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor streams 127.0.0.1 {self.primary.port} 1\n"
            "sentinel down-after-milliseconds streams 500\nsentinel failover-timeout streams 3000\n"
        )
        self.sentinel = self._server(directory / "sentinel", configuration=configuration)
        self.url = f"redis+sentinel://127.0.0.1:{self.sentinel.port}/streams"
        self.until(lambda: self._replication(self.replica).get("master_link_status") == "up")
        self.until(lambda: int(self._watched()["num-slaves"]) == 1)

    def _server(self, directory: Path, *arguments: str, configuration: Path | None = None) -> Server:
        directory.mkdir()
        server = Server(directory, *arguments, configuration=configuration)
        self.servers.append(server)
        return server

    def _replication(self, server: Server) -> dict[str, str]:
        with server.client() as client:
            return dict(client.info("replication"))

    def _watched(self) -> dict[str, str]:
        with self.sentinel.client() as client:
            return dict(client.sentinel_master("streams"))

    def until(self, condition: Callable[[], bool]) -> None:
        """Return once a condition holds."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    async def until_replicated(self, log: str, length: int) -> None:
        """Return once the replica has so much of a stream."""
        with self.replica.client() as client:
            await asyncio.to_thread(self.until, lambda: client.xlen(log) == length)

    def cut_replication(self) -> None:
        """Let the replica hear nothing any more, and be the primary's replica still in Sentinel's eyes."""
        with self.replica.client() as client:
            client.config_set("masterauth", "wrong")
        with self.primary.client() as client:
            client.config_set("requirepass", "")
            client.client_kill_filter(_type="replica")
            client.config_set("repl-diskless-sync-delay", "1000")

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Trio]:
    made = Trio(tmp_path)
    yield made
    made.stop()


async def published(broker: Broker, number: int) -> Position:
    """Publish, trying again until a primary is there."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return (await broker.publish([items("x", number)[0]._replace(key=f"k{number}")]))[0].position
        except BrokerError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def refused(broker: Broker, position: Position) -> bool:
    """Whether nobody may resume at a position, asking until a primary is there."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            await broker.since("x", position)
        except Unrecoverable:
            return True
        except BrokerError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        else:
            return False


@pytest.mark.slow
async def test_after_a_failover_pushes_go_on_at_the_new_primary(trio: Trio) -> None:
    sink = RecordingSink()
    broker = broker_at(trio.url, deadline=1.0)
    await broker.start(sink)
    await broker.subscribe("x")
    before = await published(broker, 1)
    await until(lambda: len(sink.publications) == 1)
    await trio.until_replicated(broker._names.log("x"), 1)
    trio.primary.stop()
    after = await published(broker, 2)
    assert (after.epoch, after.offset) == (before.epoch, 2)
    await until(lambda: sink.doubts >= 1)
    await until(lambda: broker.trouble == "")
    history = await broker.since("x", before)
    assert [p.data for p in history.publications] == [b"2"]
    last = await published(broker, 3)
    await until(lambda: sink.publications[-1][1].offset == last.offset)
    await broker.close()


@pytest.mark.slow
async def test_a_failover_that_lost_the_end_of_a_stream_begins_a_new_epoch(trio: Trio) -> None:
    sink = RecordingSink()
    broker = broker_at(trio.url, deadline=1.0)
    await broker.start(sink)
    await broker.subscribe("x")
    first = await published(broker, 1)
    await trio.until_replicated(broker._names.log("x"), 1)
    trio.cut_replication()
    for number in range(2, 6):
        seen = await published(broker, number)
    await until(lambda: len(sink.publications) == 5)
    trio.primary.stop()
    assert await refused(broker, seen)
    after = await published(broker, 9)
    assert after.epoch != first.epoch
    assert broker.statistics()["lost_tails"] == 1
    await broker.close()
