"""The broker of several workers keeps the contract, and one that misses something learns it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from messageflow.brokers.base import Broker, Item
from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.brokers.memory import MemoryBroker
from messageflow.brokers.worker_link import broker as zeromq_broker
from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link import worker_outbox
from messageflow.brokers.worker_link.broker import ZeroMQBroker
from messageflow.brokers.worker_link.broker_server import BrokerServer
from messageflow.brokers.worker_link.loop_socket import LoopSocket
from messageflow.brokers.worker_link.socket_directory import SocketDirectory
from messageflow.core.protocol import ClientInfo
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable, Unrecoverable
from messageflow.testing.broker_suite import KEPT, BrokerSuite, RecordingSink, items, until


@pytest.fixture
async def server() -> AsyncIterator[BrokerServer]:
    directory = SocketDirectory()
    made = BrokerServer(MemoryBroker(), directory)
    await made.start()
    yield made
    await made.close()
    directory.remove()


class TestZeroMQBroker(BrokerSuite):
    @pytest.fixture(params=["memory", "embedded"])
    async def broker(
        self, sink: RecordingSink, tmp_path: Path, request: pytest.FixtureRequest
    ) -> AsyncIterator[Broker]:
        inner = MemoryBroker() if request.param == "memory" else EmbeddedBroker(tmp_path)
        directory = SocketDirectory()
        server = BrokerServer(inner, directory)
        await server.start()
        made = ZeroMQBroker(server.address, "worker")
        await made.start(sink)
        yield made
        await made.close()
        await server.close()
        directory.remove()


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
    assert worker._publications is not None
    with unread(worker._publications):
        yield


@contextmanager
def unread(socket: LoopSocket) -> Iterator[None]:
    """Let nothing be taken from a socket."""
    loop = asyncio.get_running_loop()
    loop.remove_reader(socket._descriptor)
    socket._scheduled = True
    yield
    if socket._closed:
        return  # its descriptor may be another socket's by now
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
    await first.send_control(b"all")
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
    assert set(await second.read_presence("x")) == {"b"}
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
        dropped = server._outboxes[b"second"].dropped
        assert 0 < dropped < total
    await until(lambda: sinks[1].doubts == 1)
    offsets = [p.offset for _, p in sinks[1].publications]
    assert offsets == list(range(1, total - dropped + 1))  # what came, came in order, and the rest was told
    await first.publish(items("x", 7))
    await until(lambda: sinks[1].publications[-1][1].offset == total + 1)


async def test_what_must_not_be_lost_waits_for_room(server: BrokerServer, workers: Workers, sinks: Sinks) -> None:
    total, more = 20_000, 3_000
    with asleep(workers[1]):
        for number in range(total):
            server.on_control(b"%d" % number)
        await until(lambda: len(sinks[0].control) == total)
    for number in range(total, total + more):  # while there is room again now and then
        server.on_control(b"%d" % number)
        await asyncio.sleep(0)
    await until(lambda: len(sinks[1].control) == total + more)
    assert sinks[1].control == [b"%d" % number for number in range(total + more)]


async def test_a_worker_far_behind_is_given_up(
    server: BrokerServer, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_outbox, "OWED_LIMIT", 10)
    with asleep(workers[1]):
        for _ in range(20_000):
            server.on_control(b"message")
        await until(lambda: b"second" not in server._outboxes)


async def test_a_worker_that_was_taken_for_dead_comes_back_with_all_it_had(
    server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers
    await second.subscribe("x")
    await second.join("x", ClientInfo("bob", "b"), keep=True, tell=False)
    server.forget("second")
    await first.publish(items("x", 1))
    assert await first.read_presence("x") == {}
    with pytest.raises(BrokerError):
        await second.publish(items("x", 2))
    await until(lambda: sinks[1].doubts == 1)  # its next sign of life was answered with: who are you?
    await second.publish(items("x", 3))
    await until(lambda: [p.data for _, p in sinks[1].publications] == [b"3"])
    assert set(await first.read_presence("x")) == {"b"}


async def test_a_silent_worker_hears_later_what_was_decided_meanwhile(
    server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers
    monkeypatch.setattr(
        "messageflow.brokers.worker_link.broker_server.SILENCE", -1.0
    )  # whoever is not heard this moment
    await until(lambda: not server._outboxes)
    monkeypatch.setattr("messageflow.brokers.worker_link.broker_server.SILENCE", 15.0)
    server.on_control(b"disconnect alice")
    await until(lambda: len(server._outboxes) == 2)
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
    begin = second._connect
    subscribing: list[asyncio.Future[None]] = []

    async def connect_while_a_client_comes() -> None:
        subscribing.append(asyncio.ensure_future(second.subscribe("x")))
        for _ in range(3):
            await asyncio.sleep(0)
        await begin()

    monkeypatch.setattr(second, "_connect", connect_while_a_client_comes)
    server.forget("second")
    await until(lambda: sinks[1].doubts == 1)
    await subscribing[0]
    await first.publish(items("x", 1))
    await until(lambda: len(sinks[1].publications) == 1)


async def test_a_storm_of_subscriptions_is_taken_whole(workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    names = [f"#user-{number}" for number in range(12_000)]
    await asyncio.gather(*map(second.subscribe, names))
    for name in names[1::2]:
        second.unsubscribe(name)
    await second.subscribe("x")
    for start in range(0, len(names), 500):
        await first.publish([item for name in names[start : start + 500] for item in items(name, 1)])
    await until(lambda: len(sinks[1].publications) == len(names) / 2)
    assert {channel for channel, _ in sinks[1].publications} == set(names[::2])


def send_without_end(worker: ZeroMQBroker) -> None:
    while True:
        worker._send(m.HowMany("x"))


async def test_what_is_wanted_waits_for_room(server: BrokerServer, workers: Workers, sinks: Sinks) -> None:
    """A parent that is busy, and a worker with more to ask than the link takes."""
    first, second = workers
    await second.subscribe("gone")
    bob = ClientInfo("bob", "b")
    await second.join("x", bob, keep=True, tell=False)
    with unread(server._requests):
        with pytest.raises(Unavailable, match="nothing was sent"):
            send_without_end(second)
        changes = [
            asyncio.ensure_future(second.subscribe("x")),
            asyncio.ensure_future(second.leave("x", bob, tell=True)),
        ]
        second.unsubscribe("gone")
        await asyncio.sleep(0)
    await asyncio.gather(*changes)
    await first.publish([*items("gone", 1), *items("x", 2)])
    await until(lambda: bool(sinks[1].publications))
    assert [channel for channel, _ in sinks[1].publications] == ["x"]
    assert await first.read_presence("x") == {}


async def test_answers_wait_for_room(server: BrokerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reply, replied = server._reply, []

    def counted(identity: bytes, number: bytes, answer: bytes) -> None:
        replied.append(number)
        reply(identity, number, answer)

    worker = ZeroMQBroker(server.address, "patient", deadline=60)
    await worker.start(RecordingSink())
    monkeypatch.setattr(server, "_reply", counted)
    asked: list[asyncio.Future[bytes]] = []
    with unread(worker._requests):
        for number in range(1, 17):
            asked += [worker._send(m.HowMany("x")) for _ in range(1000)]
            await until(partial(lambda total: len(replied) >= total, number * 1000))
    answers = await asyncio.gather(*asked)
    assert {m.read_answer(answer) for answer in answers} == {m.encode((0, 0))}
    await worker.close()


async def test_a_subscription_that_is_not_confirmed_makes_the_link_anew(
    server: BrokerServer, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = ZeroMQBroker(server.address, "worker", deadline=0.3)
    await worker.start(sinks[0])
    await worker.subscribe("x")
    subscribe = server._subscribe
    monkeypatch.setattr(server, "_subscribe", lambda link, request: None)
    answer = server._reply
    monkeypatch.setattr(server, "_reply", lambda identity, number, answer: None)
    with pytest.raises(Unanswered, match="did not confirm a subscription"):
        await worker.subscribe("y")
    assert "did not confirm a subscription" in worker.trouble
    monkeypatch.setattr(server, "_subscribe", subscribe)
    monkeypatch.setattr(server, "_reply", answer)
    await until(lambda: sinks[0].doubts == 1)
    await until(lambda: worker.trouble == "")
    await worker.publish([*items("x", 1), *items("y", 2)])
    await until(lambda: [p.data for _, p in sinks[0].publications] == [b"1", b"2"])
    await worker.close()


async def test_a_link_that_is_not_heard_is_made_anew(
    server: BrokerServer, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeromq_broker, "ALIVE_EVERY", 0.02)
    worker = ZeroMQBroker(server.address, "worker")
    await worker.start(sinks[0])
    await worker.subscribe("x")
    await asyncio.sleep(0.3)
    assert sinks[0].doubts == 0  # the answered signs of life are heard
    assert worker._publications is not None
    worker._publications.close()
    await until(lambda: "publications do not arrive" in worker.trouble)
    await until(lambda: sinks[0].doubts == 1 and worker.trouble == "")
    await worker.publish(items("x", 1))
    await until(lambda: [p.data for _, p in sinks[0].publications] == [b"1"])
    await worker.close()


async def test_a_link_made_anew_costs_nobody_their_presence_and_loses_no_decision(
    workers: Workers, sinks: Sinks
) -> None:
    first, second = workers
    await first.subscribe("x")
    await second.join("x", ClientInfo("bob", "b"), keep=True, tell=False)
    with asleep(second):
        await first.send_control(b"disconnect alice")
        await until(lambda: bool(sinks[0].control))
        assert second._publications is not None
        second._publications.close()  # and what lies in it is lost
        second._publications = None
        second._mark_lost("as the test wants it")
        await until(lambda: sinks[1].doubts == 1)
    await until(lambda: sinks[1].control == [b"disconnect alice"])
    assert set(await first.read_presence("x")) == {"b"}
    assert sinks[0].pushes == []


async def test_a_worker_that_speaks_hears_however_much_it_was_sent(
    server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_outbox, "UNHEARD_BYTES", 10_000)
    first, second = workers
    await second.subscribe("x")
    for number in range(30):
        await first.publish([Item("x", b'"%1000d"' % number, KEPT)])
        await second.read_page("x")
    await until(lambda: len(sinks[1].publications) == 30)
    assert server._outboxes[b"second"].dropped == 0
    with asleep(second):
        for _ in range(30):
            await first.publish([Item("x", b'"%1000d"' % 0, KEPT)])
    assert server._outboxes[b"second"].dropped > 0
    await second.read_page("x")
    await until(lambda: sinks[1].doubts == 1)  # it is told, as soon as it speaks
    await first.publish(items("x", 1))
    await until(lambda: sinks[1].publications[-1][1].data == b"1")


async def test_sockets_that_were_removed_are_made_anew(server: BrokerServer, workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    shutil.rmtree(server._directory.path)
    await second.subscribe("x")
    server.keep_reachable()
    third = ZeroMQBroker(server.address, "third")
    await third.start(RecordingSink())
    await third.publish(items("x", 1))
    await first.publish(items("x", 2))
    await until(lambda: [p.data for _, p in sinks[1].publications] == [b"1", b"2"])
    shutil.rmtree(server._directory.path)
    server.forget("second")  # it comes back by itself
    await until(lambda: sinks[1].doubts == 1)
    await third.publish(items("x", 3))
    await until(lambda: sinks[1].publications[-1][1].data == b"3")
    await third.close()


async def test_a_parent_that_was_frozen_takes_nobody_for_dead(
    server: BrokerServer, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = server._clock()
    monkeypatch.setattr(server, "_clock", lambda: now + 60)
    await asyncio.sleep(0.1)
    assert len(server._outboxes) == 2


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
    server._outboxes[b"second"].tell([b"x\0", b"Pgarbage"])
    server._outboxes[b"second"].tell([b"x\0", b"?"])
    server._outboxes[b"second"].tell([b"x\0"])
    await first.publish(items("x", 1))
    await until(lambda: len(sinks[1].publications) == 1)
    assert second.statistics()["publications_not_understood"] == 3


async def test_a_channel_that_one_worker_leaves_stays_with_the_other(workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    await first.subscribe("x")
    await second.subscribe("x")
    first.unsubscribe("x")
    await first.subscribe("y")
    await first.publish(items("x", 1))
    await until(lambda: len(sinks[1].publications) == 1)
    assert sinks[0].publications == []


@pytest.mark.parametrize("kind", [Unrecoverable, NoRoom, Unanswered, Unavailable, m.NotKnown, BrokerError])
def test_what_failed_at_the_parent_is_the_same_at_the_worker(kind: type[BrokerError]) -> None:
    with pytest.raises(BrokerError, match="why") as raised:
        m.read_answer(m.encode_failure(kind("why")))
    assert type(raised.value) is kind
