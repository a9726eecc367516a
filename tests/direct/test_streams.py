"""What a flow reads and stores straight in Redis keeps the contract of streams that brokers keep."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from messageflow.brokers.base import StreamStore
from messageflow.brokers.redis.names import Names
from messageflow.direct.awaiting import Awaiting
from messageflow.direct.broker import DirectBroker
from messageflow.direct.edge import Attempt
from messageflow.direct.servers import Servers
from messageflow.direct.way import Way
from messageflow.testing.broker_suite import StreamSuite
from tests.brokers.redis.servers import Server


class TestStreamsOfAFlow(StreamSuite):
    @pytest.fixture
    async def streams(self, ruled: Server) -> AsyncIterator[StreamStore]:
        limit = time.monotonic() + 50
        way = Way(Awaiting(), ruled.url, "messageflow", ruled.url)
        known = await way._prepare(limit)
        servers = Servers(way._layouts, known.acks, Attempt(limit))
        yield DirectBroker(servers, Names("messageflow"), known.window, limit)
        way.close()
