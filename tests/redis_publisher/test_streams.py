"""What a flow reads and stores straight in Redis keeps the contract of streams that brokers keep."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from messageflow.brokers.base import StreamStore
from messageflow.brokers.redis.keyspace import Names
from messageflow.client_io.asyncio_io import ASYNCIO
from messageflow.client_io.kernel import Attempt
from messageflow.redis_publisher.attempt_broker import RedisApiBroker
from messageflow.redis_publisher.client import RedisClient
from messageflow.redis_publisher.servers import Servers
from messageflow.testing.broker_suite import StreamSuite
from tests.brokers.redis.servers import Server


class TestStreamsOfAFlow(StreamSuite):
    @pytest.fixture
    async def streams(self, ruled: Server) -> AsyncIterator[StreamStore]:
        limit = time.monotonic() + 50
        client = RedisClient(ASYNCIO, ruled.url, "messageflow", ruled.url)
        known = await client._prepare(limit)
        servers = Servers(client._routers, known.acks, Attempt(limit))
        yield RedisApiBroker(servers, Names("messageflow"), known.window, known.age, limit)
        client.close()
