"""A replica that takes its primary's place without what came last: nobody takes what it has for what he knew."""

from __future__ import annotations

import asyncio

import pytest

from messageflow import Flow
from messageflow.core.client_info import ClientInfo
from messageflow.core.namespaces import Namespaces
from messageflow.core.redis_publishing_rules import RedisPublishingRules
from messageflow.core.stream import Position
from messageflow.errors import Unrecoverable
from messageflow.testing.broker_suite import RecordingSink, items, until
from tests.brokers.redis.conftest import broker_at
from tests.brokers.redis.servers import Cluster, cut_replication, has_caught_up, wait_until

RULES = RedisPublishingRules.of(Namespaces(), size_limit=65_536, idempotency_window=600).to_json()


@pytest.mark.slow
async def test_an_heir_that_went_on_past_the_end_it_lacks_is_found_out_though_no_connection_was_lost(
    own_cluster: Cluster,
) -> None:
    """Also for who knows no tags, and stands where the heir has something else."""
    sink = RecordingSink()
    broker, flow = broker_at(own_cluster.url, rules=RULES), Flow(own_cluster.url)
    await broker.start(sink)
    try:
        await broker.subscribe("x")
        primary = own_cluster.holder(broker._names.state("x"))
        heir = own_cluster.replica_of(primary)
        await asyncio.to_thread(flow.publish, "x", 1)
        await asyncio.to_thread(wait_until, lambda: has_caught_up(primary))
        await asyncio.to_thread(cut_replication, primary, heir)
        lost = await asyncio.to_thread(flow.publish, "x", 2)
        await until(lambda: len(sink.publications) == 2)
        own_cluster.take_over(heir)  # while the broker's event loop stands still, and hears nothing of it
        for number in (3, 4):
            flow.publish("x", number)
        await until(lambda: sink.doubts >= 1)
        await broker.publish(items("x", 5))
        async with asyncio.timeout(10):
            while (await broker.read_page("x")).position.epoch == lost.epoch:  # noqa: ASYNC110 - of anything, not of an event
                await asyncio.sleep(0.02)
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", Position(lost.epoch, lost.offset))
    finally:
        flow.close()
        await broker.close()


@pytest.mark.slow
async def test_who_left_and_is_remembered_by_the_heir_is_taken_out_though_the_node_has_nobody_there(
    own_cluster: Cluster,
) -> None:
    broker = broker_at(own_cluster.url)
    await broker.start(RecordingSink())
    try:
        of_node = own_cluster.holder(broker._names.of_node(broker._node))
        channel = next(
            name for name in map(str, range(1_000)) if own_cluster.holder(broker._names.present(name)) is not of_node
        )
        primary = own_cluster.holder(broker._names.present(channel))
        heir = own_cluster.replica_of(primary)
        info = ClientInfo("client", "user")
        await broker.join(channel, info, keep=True, tell=False)
        await asyncio.to_thread(wait_until, lambda: has_caught_up(primary))
        await asyncio.to_thread(cut_replication, primary, heir)
        await broker.leave(channel, info, tell=False)
        await asyncio.to_thread(own_cluster.take_over, heir)
        async with asyncio.timeout(10):
            while await broker.read_presence(channel):  # noqa: ASYNC110 - of anything, not of an event
                await asyncio.sleep(0.02)
    finally:
        await broker.close()
