"""A Redis that writes a file, with gateways, that are killed, ended and put back in time; and what a client is told."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from messageflow.brokers.redis.broker import RedisBroker
from messageflow.brokers.redis.tasks import cancel_all
from messageflow.core.stream import Position
from messageflow.errors import Unrecoverable
from messageflow.testing.broker_suite import RecordingSink, items
from tests.brokers.redis.conftest import broker_at
from tests.brokers.redis.servers import Server

LAZY, STRICT = "everysec", "always"


class Site:
    """A Redis that writes a file, and the gateways of one machine.

    Args:
        directory: for all files; there already.
        fsync: when Redis syncs its file.
    """

    def __init__(self, directory: Path, fsync: str) -> None:
        (directory / "redis").mkdir()
        self.memory: Path | None = directory / "memory"
        self._kept = directory / "kept"
        self.redis = Server(directory / "redis", "--appendonly", "yes", "--appendfsync", fsync)

    async def begin(self) -> RedisBroker:
        """Start a gateway."""
        broker = broker_at(self.redis.url, memory=self.memory)
        await broker.start(RecordingSink())
        return broker

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[RedisBroker]:
        """Start a gateway, and end it as it should end."""
        broker = await self.begin()
        try:
            yield broker
        finally:
            await broker.close()

    async def kill(self, broker: RedisBroker) -> None:
        """End a gateway as if its process was killed."""
        await cancel_all(broker._tasks)
        await broker._batcher.close()
        await broker._topology.close()
        broker._witness.close()

    def restart(self) -> None:
        """Kill Redis and start it again on its file."""
        self.redis.wait_until_written()
        self.redis.stop()
        self.redis.start()

    def keep_file(self) -> None:
        """Set a copy of its file aside."""
        self.redis.wait_until_written()
        shutil.copytree(self.redis.directory, self._kept)

    def restart_on_kept_file(self) -> None:
        """Kill Redis and start it again on the copy."""
        self.redis.stop()
        shutil.rmtree(self.redis.directory)
        shutil.copytree(self._kept, self.redis.directory)
        self.redis.start()


async def is_told(broker: RedisBroker, position: Position) -> bool:
    """Whether a client that knows no tags is told that it missed something."""
    try:
        await broker.read_since("x", position._replace(tag=""))
    except Unrecoverable:
        return True
    return False


async def filled(broker: RedisBroker, *data: int) -> Position:
    """Publish, and return where the last of it stands."""
    return (await broker.publish(items("x", *data)))[-1].position
