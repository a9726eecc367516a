"""A primary that dies, and Sentinel, which names another: pushes go on, and nothing the other lacks is passed over."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from messageflow.brokers.base import Broker
from messageflow.brokers.redis.broker import RedisBroker
from messageflow.core.stream import Position
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.testing.broker_suite import RecordingSink, items, until
from tests.brokers.redis.certificates import Authority
from tests.brokers.redis.conftest import broker_at
from tests.brokers.redis.servers import SECONDS, Trio
from tests.ports import free_port


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
async def broker(trio: Trio, sink: RecordingSink) -> AsyncIterator[RedisBroker]:
    """A broker over the trio, which hears channel `x`."""
    made = broker_at(trio.url, deadline=1.0)
    await made.start(sink)
    await made.subscribe("x")
    yield made
    await made.close()


async def published(broker: Broker, number: int) -> Position:
    """Publish, trying again until a primary is there."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return (await broker.publish([replace(items("x", number)[0], key=f"k{number}")]))[0].position
        except BrokerError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def refused(broker: Broker, position: Position) -> bool:
    """Whether nobody may resume at a position, asking until a primary is there."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            await broker.read_since("x", position)
        except Unrecoverable:
            return True
        except BrokerError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        else:
            return False


@pytest.mark.slow
async def test_after_a_failover_pushes_go_on_at_the_new_primary(
    trio: Trio, broker: RedisBroker, sink: RecordingSink
) -> None:
    before = await published(broker, 1)
    await until(lambda: len(sink.publications) == 1)
    await trio.until_replicated(broker._names.log("x"), 1)
    trio.primary.stop()
    after = await published(broker, 2)
    assert (after.epoch, after.offset) == (before.epoch, 2)
    await until(lambda: sink.doubts >= 1)
    await until(lambda: broker.trouble == "")
    history = await broker.read_since("x", before)
    assert [p.data for p in history.publications] == [b"2"]
    await broker.subscribe("y")  # confirmed after all that was heard before
    last = await published(broker, 3)
    await until(lambda: sink.publications[-1][1].offset == last.offset)


@pytest.mark.slow
async def test_a_primary_that_becomes_a_replica_while_it_lives_is_left(
    trio: Trio, broker: RedisBroker, sink: RecordingSink
) -> None:
    before = await published(broker, 1)
    await trio.until_replicated(broker._names.log("x"), 1)
    await asyncio.to_thread(trio.failover)
    after = await published(broker, 2)
    assert (after.epoch, after.offset) == (before.epoch, 2)
    await until(lambda: sink.doubts >= 1)  # as it could not hear for a while
    await until(lambda: broker.trouble == "")
    await broker.subscribe("y")  # confirmed after all that was heard before
    last = await published(broker, 3)
    await until(lambda: sink.publications[-1][1].offset == last.offset)


@pytest.mark.slow
async def test_sentinels_and_servers_may_want_passwords_and_tls(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.sign("trio")
    trio = Trio(tmp_path, password="for-redis", sentinel_password="for-sentinel", certificate=certificate)
    try:
        broker = broker_at(trio.url)
        await broker.start(RecordingSink())
        await published(broker, 1)
        await broker.close()
        for url in (trio.url.replace("for-redis", "wrong"), trio.url.replace("for-sentinel", "wrong")):
            with pytest.raises(BrokerError, match="password"):
                await broker_at(url).start(RecordingSink())
    finally:
        trio.stop()


async def test_what_sentinel_cannot_name_is_said(trio: Trio) -> None:
    with pytest.raises(BrokerError, match="'flows'"):
        await broker_at(trio.url.replace("/streams", "/flows")).start(RecordingSink())
    trio.sentinel.stop()
    with pytest.raises(BrokerError, match="Sentinel"):
        await broker_at(trio.url, deadline=0.5).start(RecordingSink())


async def test_one_sentinel_that_answers_is_enough(trio: Trio) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # takes connections and says nothing
        others = f"127.0.0.1:{free_port()},127.0.0.1:{frozen.getsockname()[1]}"
        broker = broker_at(trio.url.replace("//", f"//{others},"), deadline=2.0)
        await broker.start(RecordingSink())
        await published(broker, 1)
        await broker.close()


@pytest.mark.slow
async def test_a_failover_that_lost_the_end_of_a_stream_begins_a_new_epoch(
    trio: Trio, broker: RedisBroker, sink: RecordingSink
) -> None:
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
