"""The broker of several workers keeps the contract, and one that misses something learns it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from messageflow.brokers.base import Broker
from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.brokers.memory import MemoryBroker
from messageflow.brokers.zeromq import link
from messageflow.brokers.zeromq.broker import ZeroMQBroker
from messageflow.brokers.zeromq.server import BrokerServer
from messageflow.core.protocol import ClientInfo
from messageflow.errors import BrokerError, Unanswered
from messageflow.testing.broker_suite import BrokerSuite, RecordingSink, items, until


@pytest.fixture
async def server() -> AsyncIterator[BrokerServer]:
    with tempfile.TemporaryDirectory() as directory:
        made = BrokerServer(MemoryBroker(), directory)
        await made.start()
        yield made
        await made.close()


class TestZeroMQBroker(BrokerSuite):
    @pytest.fixture(params=["memory", "embedded"])
    async def broker(
        self, sink: RecordingSink, tmp_path: Path, request: pytest.FixtureRequest
    ) -> AsyncIterator[Broker]:
        inner = MemoryBroker() if request.param == "memory" else EmbeddedBroker(tmp_path)
        with tempfile.TemporaryDirectory() as directory:
            server = BrokerServer(inner, directory)
            await server.start()
            made = ZeroMQBroker(server.address, "worker")
            await made.start(sink)
            yield made
            await made.close()
            await server.close()


@pytest.fixture
def sinks() -> tuple[RecordingSink, RecordingSink]:
    return RecordingSink(), RecordingSink()


@pytest.fixture
async def workers(
    server: BrokerServer, sinks: tuple[RecordingSink, RecordingSink]
) -> AsyncIterator[tuple[ZeroMQBroker, ZeroMQBroker]]:
    first, second = ZeroMQBroker(server.address, "first"), ZeroMQBroker(server.address, "second")
    await first.start(sinks[0])
    await second.start(sinks[1])
    yield first, second
    await first.close()
    await second.close()


Workers = tuple[ZeroMQBroker, ZeroMQBroker]
Sinks = tuple[RecordingSink, RecordingSink]


@contextmanager
def asleep(worker: ZeroMQBroker) -> Iterator[None]:
    """Let a worker hear nothing, as if its process were stopped."""
    socket, loop = worker._publications, asyncio.get_running_loop()
    assert socket is not None
    loop.remove_reader(socket._descriptor)
    socket._scheduled = True
    yield
    socket._scheduled = False
    loop.add_reader(socket._descriptor, socket._drain)
    socket._drain()


async def test_a_push_at_one_worker_reaches_the_others_that_want_it(workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    await second.subscribe("x")
    await first.publish([*items("x", 1, 2), *items("y", 3)])
    await until(lambda: len(sinks[1].publications) == 2)
    assert sinks[0].publications == []
    assert await second.survey(b"you") == [b"answer to you", b"answer to you"]
    await first.control(b"all")
    await until(lambda: sinks[0].control == sinks[1].control == [b"all"])


async def test_a_channel_is_not_another_that_begins_alike(workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    await second.subscribe("#user1")
    await first.publish([*items("#user10", 1), *items("#user1\0more", 2), *items("#user", 3), *items("#user1", 4)])
    await until(lambda: any(p.data == b"4" for _, p in sinks[1].publications))
    assert [channel for channel, _ in sinks[1].publications if not channel.endswith("more")] == ["#user1"]
    assert all(channel in ("#user1", "#user1\0more") for channel, _ in sinks[1].publications)


async def test_everybody_of_a_worker_that_died_leaves(server: BrokerServer, workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    await second.subscribe("x")
    await first.join("x", ClientInfo("alice", "a"), keep=True, tell=True)
    await second.join("x", ClientInfo("bob", "b"), keep=True, tell=False)
    server.forget("first")
    assert set(await second.presence("x")) == {"b"}
    await until(lambda: len(sinks[1].pushes) == 2)
    with pytest.raises(BrokerError, match="taken for dead"):
        await first.publish(items("x", 1))


async def test_a_worker_that_stalls_delays_nobody_and_learns_that_it_missed_something(
    server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    first, second = workers
    await first.subscribe("x")
    await second.subscribe("x")
    total = 30_000
    with asleep(second):
        for _ in range(total // 500):
            await first.publish(items("x", *range(500)))
        await until(lambda: len(sinks[0].publications) == total)
        assert [p.offset for _, p in sinks[0].publications] == list(range(1, total + 1))
        dropped = server._links[b"second"].dropped
        assert 0 < dropped < total
    await until(lambda: sinks[1].doubts == 1)
    offsets = [p.offset for _, p in sinks[1].publications]
    assert offsets == list(range(1, total - dropped + 1))  # what came, came in order, and the rest was told
    await first.publish(items("x", 7))
    await until(lambda: sinks[1].publications[-1][1].offset == total + 1)


async def test_what_must_not_be_lost_waits_for_room(server: BrokerServer, workers: Workers, sinks: Sinks) -> None:
    total = 20_000
    with asleep(workers[1]):
        for number in range(total):
            server.on_control(b"%d" % number)
        await until(lambda: len(sinks[0].control) == total)
    await until(lambda: len(sinks[1].control) == total)
    assert sinks[1].control == [b"%d" % number for number in range(total)]


async def test_a_worker_far_behind_is_given_up(
    server: BrokerServer, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "OWED_LIMIT", 10)
    with asleep(workers[1]):
        for _ in range(20_000):
            server.on_control(b"message")
        await until(lambda: b"second" not in server._links)


async def test_a_worker_that_was_taken_for_dead_comes_back_with_all_it_had(
    server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers
    await second.subscribe("x")
    await second.join("x", ClientInfo("bob", "b"), keep=True, tell=False)
    server.forget("second")
    await first.publish(items("x", 1))
    assert await first.presence("x") == {}
    with pytest.raises(BrokerError):
        await second.publish(items("x", 2))
    await until(lambda: sinks[1].doubts == 1)  # its next sign of life was answered with: who are you?
    await second.publish(items("x", 3))
    await until(lambda: [p.data for _, p in sinks[1].publications] == [b"3"])
    assert set(await first.presence("x")) == {"b"}


async def test_a_silent_worker_hears_later_what_was_decided_meanwhile(
    server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers
    monkeypatch.setattr("messageflow.brokers.zeromq.server.SILENCE", -1.0)  # whoever is not heard this moment
    await until(lambda: not server._links)
    monkeypatch.setattr("messageflow.brokers.zeromq.server.SILENCE", 15.0)
    server.on_control(b"disconnect alice")
    await until(lambda: len(server._links) == 2)
    await until(lambda: sinks[0].control == sinks[1].control == [b"disconnect alice"])
    assert (await first.publish(items("x", 1)))[0].position.offset == 1
    assert second.trouble == ""


async def test_a_worker_with_very_many_channels_comes_back_with_all_of_them(
    server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    first, second = workers
    names = [f"#user-{number}" for number in range(5_000)]
    for start in range(0, len(names), 500):
        await asyncio.gather(*(second.subscribe(name) for name in names[start : start + 500]))
    server.forget("second")
    await until(lambda: sinks[1].doubts == 1)
    for start in range(0, len(names), 500):
        await first.publish([item for name in names[start : start + 500] for item in items(name, 1)])
    await until(lambda: len(sinks[1].publications) == len(names))


async def test_who_subscribes_while_its_worker_comes_back_is_subscribed(
    server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers
    begin = second._begin
    subscribing: list[asyncio.Future[None]] = []

    async def begin_while_a_client_comes() -> list[asyncio.Future[None]]:
        subscribing.append(asyncio.ensure_future(second.subscribe("x")))
        await asyncio.sleep(0)
        return await begin()

    monkeypatch.setattr(second, "_begin", begin_while_a_client_comes)
    server.forget("second")
    await until(lambda: sinks[1].doubts == 1)
    await subscribing[0]
    await first.publish(items("x", 1))
    await until(lambda: len(sinks[1].publications) == 1)


async def test_a_parent_that_was_frozen_takes_nobody_for_dead(
    server: BrokerServer, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = server._clock()
    monkeypatch.setattr(server, "_clock", lambda: now + 60)
    await asyncio.sleep(0.1)
    assert len(server._links) == 2


async def test_a_severed_worker_asks_no_more(workers: Workers) -> None:
    first, _ = workers
    first.sever("the parent is gone")
    with pytest.raises(BrokerError, match="the parent is gone"):
        await first.publish(items("x", 1))


async def test_no_answer_is_an_outcome_nobody_knows() -> None:
    with tempfile.TemporaryDirectory() as directory:
        made = ZeroMQBroker(f"ipc://{directory}/nobody", "worker", deadline=0.1)
        with pytest.raises(Unanswered):
            await made.start(RecordingSink())


async def test_garbage_ends_nothing(server: BrokerServer, workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    await second.subscribe("x")
    for frames in ([b"x"], [b"1", b"not msgpack"], [b"1", b"\x91\xa5wrong"], [b"1", b"2", b"3"]):
        first._requests.send(frames)
    server._links[b"second"].tell([b"x\0", b"Pgarbage"])
    server._links[b"second"].tell([b"x\0", b"?"])
    server._links[b"second"].tell([b"x\0"])
    await first.publish(items("x", 1))
    await until(lambda: len(sinks[1].publications) == 1)
    assert second.statistics()["publications_not_understood"] == 3
