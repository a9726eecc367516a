"""Gateways that share a server and nothing else are nothing to each other: no database and no prefix is crossed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from messageflow.brokers.base import Broker
from messageflow.core.client_info import ClientInfo
from messageflow.testing.broker_suite import BrokerSuite, RecordingSink, items, until
from tests.brokers.redis.conftest import broker_at
from tests.brokers.redis.servers import Cluster, Server


class TestDatabase(BrokerSuite):
    @pytest.fixture
    async def broker(self, server: Server, sink: RecordingSink) -> AsyncIterator[Broker]:
        made = broker_at(f"{server.url}/3")
        await made.start(sink)
        yield made
        await made.close()


class TestShardsOfOneServer(BrokerSuite):
    @pytest.fixture
    async def broker(self, server: Server, sink: RecordingSink) -> AsyncIterator[Broker]:
        made = broker_at(f"{server.url}/4 {server.url}/5")
        await made.start(sink)
        yield made
        await made.close()


async def nothing_crosses(places: list[tuple[str, str]]) -> None:
    """Do all that is announced in each of some places, by URL and prefix, and see that only those there hear of it."""
    async with AsyncExitStack() as stack:
        sinks = [RecordingSink() for _ in places]
        nodes = [broker_at(url, prefix=prefix) for url, prefix in places]
        for node, sink in zip(nodes, sinks, strict=True):
            await node.start(sink)
            stack.push_async_callback(node.close)
            await node.subscribe("x")
        for number, node in enumerate(nodes):
            info = ClientInfo(f"user-{number}", f"client-{number}")
            await node.publish(items("x", number))
            await node.join("x", info, keep=True, tell=True)
            await node.send_control(b"from %d" % number)
            assert await node.survey(b"who") == [b"answer to who"]
        for node in nodes:  # comes after all that could have crossed
            await node.send_control(b"the end")
        for number, (node, sink) in enumerate(zip(nodes, sinks, strict=True)):
            await until(lambda sink=sink: sink.control[-1:] == [b"the end"])  # type: ignore[misc]
            assert sink.control == [b"from %d" % number, b"the end"]
            assert [publication.data for _, publication in sink.publications] == [b"%d" % number]
            assert [push.info.user for _, push in sink.pushes] == [f"user-{number}"]
            assert set(await node.read_presence("x")) == {f"client-{number}"}
            assert (await node.read_page("x")).position.offset == 1


PREFIXES = ("messageflow", "messageflow:", "messageflow:x", "messageflo", "messageflow:rules")


async def test_what_is_in_another_database_is_nothing_to_a_gateway(server: Server) -> None:
    await nothing_crosses([(f"{server.url}/{database}", "messageflow") for database in (0, 1, 11)])


async def test_what_has_another_prefix_is_nothing_to_a_gateway(server: Server) -> None:
    await nothing_crosses([(server.url, prefix) for prefix in PREFIXES])


async def test_what_has_another_prefix_in_a_cluster_is_nothing_to_a_gateway(shared_cluster: Cluster) -> None:
    await nothing_crosses([(shared_cluster.url, prefix) for prefix in PREFIXES[:3]])
