"""A link lets go of its connection whenever it is told to, also of one that is only being made."""

from __future__ import annotations

import asyncio
import signal

import pytest

from messageflow.brokers.redis.connections import reconnecting_connection
from messageflow.brokers.redis.connections.connector import Connector
from messageflow.brokers.redis.connections.reconnecting_connection import ReconnectingConnection
from tests.brokers.redis.servers import Server

TURNS = 40  # of the loop, in which a connection is made and asks its first questions


async def test_a_link_can_be_closed_at_any_moment_of_connecting_to_a_server_that_hangs(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnecting_connection, "FIRST_PAUSE", 0.0)
    own_server.signal(signal.SIGSTOP)
    for turns in range(TURNS):
        under_test = ReconnectingConnection(Connector(own_server.url, 60).connect, deadline=60)
        under_test.begin()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await under_test.close()
