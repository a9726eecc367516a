"""The broker of several workers keeps the contract, and one that misses something learns it."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import pytest
from msgspec import Raw
from msgspec.structs import replace

from messageflow.brokers.base import Broker, Later, Stored
from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.brokers.memory import MemoryBroker
from messageflow.brokers.worker_link import (
    broker,
    broker_server,
    link_listener,
    parent_link,
    worker_outbox,
)
from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.broker import ParentBroker
from messageflow.brokers.worker_link.broker_server import BrokerServer
from messageflow.brokers.worker_link.framing import encode_length
from messageflow.brokers.worker_link.link_connection import LinkConnection
from messageflow.brokers.worker_link.parent_link import PendingRequest
from messageflow.brokers.worker_link.socket_directory import SocketDirectory
from messageflow.core.channels import CLIENTS, NODES
from messageflow.core.client_info import ClientInfo
from messageflow.core.protocol import Left
from messageflow.core.stream import Item, Position
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable, Unrecoverable
from messageflow.testing.broker_suite import BrokerSuite, RecordingSink, items, until


@pytest.fixture
async def server() -> AsyncIterator[BrokerServer]:
    directory = SocketDirectory()
    made = BrokerServer(MemoryBroker(), directory)
    await made.start()
    yield made
    await made.close()
    directory.remove()


class TestParentBroker(BrokerSuite):
    @pytest.fixture(params=["memory", "embedded"])
    async def broker(
        self, sink: RecordingSink, tmp_path: Path, request: pytest.FixtureRequest
    ) -> AsyncIterator[Broker]:
        inner = MemoryBroker() if request.param == "memory" else EmbeddedBroker(tmp_path)
        directory = SocketDirectory()
        server = BrokerServer(inner, directory)
        await server.start()
        made = ParentBroker(server.address, "worker")
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
) -> AsyncIterator[tuple[ParentBroker, ParentBroker]]:
    first, second = ParentBroker(server.address, "first"), ParentBroker(server.address, "second")
    await first.start(sinks[0])
    await second.start(sinks[1])
    yield first, second
    await first.close()
    await second.close()


Workers = tuple[ParentBroker, ParentBroker]
Sinks = tuple[RecordingSink, RecordingSink]


def end_of(worker: ParentBroker) -> LinkConnection:
    """The worker's end of its link."""
    assert worker._link._connection is not None
    return worker._link._connection


def end_for(server: BrokerServer, node: str) -> LinkConnection:
    """The parent's end of a worker's link."""
    connection = server._outboxes[node].connection
    assert connection is not None
    return connection


@contextmanager
def unread(connection: LinkConnection) -> Iterator[None]:
    """Let nothing be taken from one end of a link, as if its process were stopped."""
    connection._transport.pause_reading()
    yield
    if not connection.closed:
        connection._transport.resume_reading()


@contextmanager
def asleep(worker: ParentBroker) -> Iterator[None]:
    """Let a worker hear nothing."""
    with unread(end_of(worker)):
        yield


def frame_of(body: bytes) -> bytes:
    return encode_length(len(body)) + body


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that are full early; to be asked for before what makes links."""
    monkeypatch.setattr(broker_server, "DROP_BYTES", 100_000)
    monkeypatch.setattr(parent_link, "ASKED_BYTES", 100_000)


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
    with pytest.raises(BrokerError, match="link to the parent process"):
        await first.publish(items("x", 1))


class Told:
    """What publishes without a coroutine came to."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.errors: list[BrokerError] = []

    def __call__(self, stored: Stored, error: BrokerError | None) -> None:
        if error is None:
            self.stored.append(stored)
        else:
            self.errors.append(error)


async def test_a_publish_without_a_coroutine_is_told_its_outcome(workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    await second.subscribe("x")
    told = Told()
    keyed = replace(items("x", 1)[0], key="k")
    for item in (keyed, keyed, *items("x", 2)):
        first.publish_now(item, told)
    assert not told.stored  # never in this step
    await until(lambda: len(told.stored) == 3)
    assert [each.position.offset for each in told.stored] == [1, 1, 2]
    assert await first.publish([keyed]) == told.stored[:1]
    await until(lambda: [p.data for _, p in sinks[1].publications] == [b"1", b"2"])


async def test_a_publish_without_a_coroutine_is_told_why_it_was_not_stored(
    server: BrokerServer, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = workers
    told = Told()

    def refuse(item: Item, later: Later) -> Stored:
        raise NoRoom("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(server._broker, "publish_now", refuse)
        first.publish_now(items("x", 1)[0], told)
        await until(lambda: len(told.errors) == 1)
    with unread(end_for(server, "first")):
        first.publish_now(items("x", 2)[0], told)
        end_of(first).abort("as the test wants it")
        await until(lambda: len(told.errors) == 2)
    assert [type(each).__name__ for each in told.errors] == ["NoRoom", "LinkLost"]
    first.sever("the parent is gone")
    with pytest.raises(Unavailable, match="the parent is gone"):
        first.publish_now(items("x", 3)[0], told)
    assert not told.stored


async def test_a_publish_without_a_coroutine_that_is_not_answered_is_told_so(
    server: BrokerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, told = ParentBroker(server.address, "worker", deadline=0.3), Told()
    await worker.start(RecordingSink())
    with monkeypatch.context() as deaf:
        deaf.setattr(server._handler, "carry_out", lambda *request: None)
        worker.publish_now(items("x", 1)[0], told)
        await until(lambda: len(told.errors) == 1)
    with monkeypatch.context() as confused:
        confused.setattr(
            server._handler,
            "_store_one",
            lambda connection, outbox, number, item: server._handler.reply(
                connection, outbox, m.encode_answer(number, b"garbage")
            ),
        )
        worker.publish_now(items("x", 2)[0], told)
        await until(lambda: len(told.errors) == 2)
    assert {type(each) for each in told.errors} == {Unanswered}
    await until(lambda: worker.statistics()["times_begun_anew"] == 1)  # who says garbage is not listened to
    await worker.close()


async def test_a_publisher_that_fails_at_its_receipt_harms_nobody_else(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = workers

    def fail(stored: Stored, error: BrokerError | None) -> None:
        raise ZeroDivisionError

    first.publish_now(items("x", 1)[0], fail)
    assert (await first.publish(items("x", 2)))[0].position.offset == 2
    assert [record.getMessage() for record in caplog.records] == ["task_failed"]
    assert first.statistics()["times_begun_anew"] == 0


async def test_a_worker_that_was_taken_for_dead_hears_of_whose_ends_others_told(
    server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    first, _ = workers
    alice = ClientInfo("alice", "a")
    for channel in (CLIENTS, "x"):
        await first.join(channel, alice, keep=True, tell=False)
    end_for(server, "first").abort("a link that is lost is no death")
    await until(lambda: sinks[0].doubts == 1)
    assert sinks[0].pushes == []
    server.forget("first")
    await until(lambda: sinks[0].doubts == 2)
    assert sinks[0].pushes == [(CLIENTS, Left(alice))]
    await until(lambda: not first.may_be_dead)


@pytest.mark.parametrize("channel", [NODES, CLIENTS])
async def test_a_death_while_a_link_is_made_anew_is_heard_once(
    channel: str, server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    first, second = workers
    await second.subscribe(channel)
    alice = ClientInfo("alice", "a")
    await first.join(channel, alice, keep=True, tell=False)
    end_for(server, "second").abort("the link is lost just now")
    server.note_ended("first")
    await until(lambda: sinks[1].doubts == 1)
    assert sinks[1].pushes == [(channel, Left(alice))]
    end_for(server, "second").abort("and once more")
    await until(lambda: sinks[1].doubts == 2)
    assert sinks[1].pushes == [(channel, Left(alice))]


async def test_a_death_while_no_worker_has_a_link_is_heard_by_those_that_come_back(
    server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    first, second = workers
    await second.subscribe(CLIENTS)
    alice = ClientInfo("alice", "a")
    await first.join(CLIENTS, alice, keep=True, tell=False)
    second.address += "-moved"
    end_for(server, "second").abort("and cannot be made anew for a while")
    await until(lambda: server._outboxes["second"].connection is None)
    server.note_ended("first")
    second.address = server.address
    await until(lambda: sinks[1].doubts == 1)
    assert sinks[1].pushes == [(CLIENTS, Left(alice))]


async def test_who_left_while_the_parent_stood_still_is_not_present_after_it(server: BrokerServer) -> None:
    worker, sink = ParentBroker(server.address, "worker", deadline=0.1), RecordingSink()
    await worker.start(sink)
    alice = ClientInfo("alice", "a")
    await worker.join("x", alice, keep=True, tell=False)
    with unread(end_for(server, "worker")):
        leaving = asyncio.create_task(worker.leave("x", alice, tell=False))
        await until(lambda: worker._link.unanswered > 0)
        worker._mark_lost("what was sent over it was never read")
        await until(lambda: sink.doubts == 1)
    await leaving
    assert await worker.read_presence("x") == {}
    await worker.close()


async def test_what_a_worker_that_died_had_begun_is_unknown(server: BrokerServer, workers: Workers) -> None:
    first, second = workers
    for key in ("begun", "ended"):
        assert (await first.reserve("alice", key)).state == "mine"
    await first.settle("alice", "ended", b"so")
    assert (await second.reserve("alice", "begun", 0.0)).state == "running"
    server.forget("first")
    assert (await second.reserve("alice", "begun", 0.0)).state == "unknown"
    assert await second.reserve("alice", "ended", 0.0) == ("ended", b"so")


async def test_a_worker_that_stalls_delays_nobody_and_learns_that_it_missed_something(
    narrow: None, server: BrokerServer, workers: Workers, sinks: Sinks
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
        dropped = server._outboxes["second"].dropped
        assert 0 < dropped < total
    await until(lambda: sinks[1].doubts == 1)
    offsets = [p.offset for _, p in sinks[1].publications]
    assert offsets == list(range(1, total - dropped + 1))  # what came, came in order, and the rest was told
    await first.publish(items("x", 7))
    await until(lambda: sinks[1].publications[-1][1].offset == total + 1)


async def test_what_must_not_be_lost_waits_for_room(
    narrow: None, server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
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


async def test_a_worker_far_behind_loses_its_link_and_no_decision(
    narrow: None, server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_outbox, "OWED_BYTES", 200_000)
    worker, end = workers[1], end_for(server, "second")
    count = 0
    with asleep(worker):
        while not end.closed:
            server.on_control(b"%1000d" % count)
            count += 1
            await asyncio.sleep(0)
    await until(lambda: len(sinks[1].control) >= count)
    assert worker.statistics()["times_begun_anew"] == 1
    assert sinks[1].control == [b"%1000d" % each for each in range(count)]


async def test_a_worker_that_was_taken_for_dead_comes_back_with_all_it_had(
    server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    first, second = workers
    await second.subscribe("x")
    await second.join("x", ClientInfo("bob", "b"), keep=True, tell=False)
    server.forget("second")
    assert await server._broker.read_presence("x") == {}
    await server._broker.publish(items("x", 1))
    with pytest.raises(BrokerError):
        await second.publish(items("x", 2))
    await until(lambda: sinks[1].doubts == 1)  # its link was closed, and it came back at once
    await second.publish(items("x", 3))
    await until(lambda: [p.data for _, p in sinks[1].publications] == [b"3"])
    assert set(await first.read_presence("x")) == {"b"}


async def test_a_silent_worker_hears_later_what_was_decided_meanwhile(
    server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers
    monkeypatch.setattr(broker_server, "LOOK_EVERY", 0.01)
    with asleep(first), asleep(second):
        monkeypatch.setattr(broker_server, "SILENCE", -1.0)  # whoever is not heard this moment
        await until(lambda: len(server._absent) == 2)
        monkeypatch.setattr(broker_server, "SILENCE", 15.0)
        server.on_control(b"disconnect alice")
        assert sinks[0].control == sinks[1].control == []
    await until(lambda: len(server._outboxes) == 2)
    await until(lambda: sinks[0].control == sinks[1].control == [b"disconnect alice"])
    await until(lambda: first.trouble == second.trouble == "")
    assert (await first.publish(items("x", 1)))[0].position.offset == 1


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


async def test_a_worker_whose_people_have_much_to_show_comes_back_with_all_of_them(
    server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    first, second = workers
    much = Raw(b'"%b"' % (b"x" * 20_000))
    for number in range(600):  # 12 MB: more than the link takes before it is full
        await second.join("x", ClientInfo("bob", f"b{number}", much), keep=True, tell=False)
    server.forget("second")
    await until(lambda: sinks[1].doubts == 1)
    await until(lambda: second.trouble == "")
    assert second.statistics()["times_begun_anew"] == 1
    assert (await first.count_presence("x")).clients == 600


async def test_who_subscribes_while_its_worker_comes_back_is_subscribed(
    server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers
    begin = second._connect
    subscribing: list[asyncio.Future[Position | None]] = []

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


def ask_without_end(worker: ParentBroker) -> None:
    while True:
        worker._link.ask(m.HowMany("x"))


async def test_what_is_wanted_waits_for_room(
    narrow: None, server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    """A parent that is busy, and a worker with more to ask than the link takes."""
    first, second = workers
    await second.subscribe("gone")
    bob = ClientInfo("bob", "b")
    await second.join("x", bob, keep=True, tell=False)
    with unread(end_for(server, "second")):
        with pytest.raises(Unavailable, match="nothing was sent"):
            ask_without_end(second)
        changes: list[asyncio.Future[object]] = [
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


async def test_answers_wait_for_room(narrow: None, server: BrokerServer) -> None:
    worker = ParentBroker(server.address, "patient", deadline=60)
    await worker.start(RecordingSink())
    asked: list[PendingRequest] = []
    with asleep(worker):
        while not end_for(server, "patient").full:
            asked += [worker._link.ask(m.HowMany("x")) for _ in range(100)]
            await asyncio.sleep(0)
    await asyncio.gather(*asked)
    assert {pending.answer for pending in asked} == {m.encode((0, 0))}
    await worker.close()


async def test_a_subscription_that_is_not_confirmed_makes_the_link_anew(
    server: BrokerServer, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = ParentBroker(server.address, "worker", deadline=0.3)
    await worker.start(sinks[0])
    await worker.subscribe("x")
    with monkeypatch.context() as deaf:
        deaf.setattr(server._handler, "carry_out", lambda *request: None)
        with pytest.raises(Unanswered, match="did not confirm a subscription"):
            await worker.subscribe("y")
    assert "did not confirm a subscription" in worker.trouble
    await until(lambda: sinks[0].doubts == 1)
    await until(lambda: worker.trouble == "")
    await worker.publish([*items("x", 1), *items("y", 2)])
    await until(lambda: [p.data for _, p in sinks[0].publications] == [b"1", b"2"])
    await worker.close()


async def test_a_link_made_anew_costs_nobody_their_presence_and_loses_no_decision(
    server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    first, second = workers
    await first.subscribe("x")
    await second.join("x", ClientInfo("bob", "b"), keep=True, tell=False)
    with asleep(second):
        await first.send_control(b"disconnect alice")
        await until(lambda: bool(sinks[0].control))
        end_for(server, "second").abort("as the test wants it")  # and what lies in it may be lost
    await until(lambda: sinks[1].doubts == 1)
    await until(lambda: sinks[1].control == [b"disconnect alice"])
    assert set(await first.read_presence("x")) == {"b"}
    assert sinks[0].pushes == []


async def test_sockets_that_were_removed_are_made_anew(server: BrokerServer, workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    address = server.address
    shutil.rmtree(Path(address).parent)
    await second.subscribe("x")
    server.keep_reachable()
    assert server.address == address  # so that who knows it finds the parent there
    third = ParentBroker(server.address, "third")
    await third.start(RecordingSink())
    await third.publish(items("x", 1))
    await first.publish(items("x", 2))
    await until(lambda: [p.data for _, p in sinks[1].publications] == [b"1", b"2"])
    shutil.rmtree(Path(address).parent)
    server.forget("second")  # it comes back by itself, once the parent has looked
    await until(lambda: sinks[1].doubts == 1)
    await third.publish(items("x", 3))
    await until(lambda: sinks[1].publications[-1][1].data == b"3")
    await third.close()


async def test_a_parent_that_was_frozen_takes_nobody_for_dead(
    server: BrokerServer, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_server, "LOOK_EVERY", 0.01)
    looks: list[float] = []
    look = server._let_go_of_silent

    def looked(now: float) -> None:
        looks.append(now)
        look(now)

    monkeypatch.setattr(server, "_let_go_of_silent", looked)
    now = server._clock()
    monkeypatch.setattr(server, "_clock", lambda: now + 60)
    await until(lambda: looks.count(now + 60) > 1)
    assert len(server._outboxes) == 2
    assert not any(worker.trouble or worker.statistics()["times_begun_anew"] for worker in workers)
    assert not server._absent


async def test_a_severed_worker_asks_no_more(workers: Workers) -> None:
    first, _ = workers
    first.sever("the parent is gone")
    with pytest.raises(BrokerError, match="the parent is gone"):
        await first.publish(items("x", 1))


async def test_no_answer_is_an_outcome_nobody_knows() -> None:
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{directory}/silent")
        silent.listen()
        made = ParentBroker(f"{directory}/silent", "worker", deadline=0.1)
        with pytest.raises(Unanswered):
            await made.start(RecordingSink())


async def test_nobody_there_is_told_at_once() -> None:
    with tempfile.TemporaryDirectory() as directory:
        made = ParentBroker(f"{directory}/nobody", "worker")
        with pytest.raises(Unavailable, match="cannot be reached"):
            await made.start(RecordingSink())


async def test_garbage_ends_nothing(server: BrokerServer, workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    await second.subscribe("x")
    for frame in (b"12345678not msgpack", b"12345678\x91\xa5wrong", b"12345678"):
        end_of(first).send(frame)
    for frame in (b"Pgarbage", b"?", b"", b"C1"):
        end_for(server, "second").send(frame)
    await first.publish(items("x", 1))
    await until(lambda: len(sinks[1].publications) == 1)
    assert second.statistics()["publications_not_understood"] == 4


async def test_a_channel_that_one_worker_leaves_stays_with_the_other(workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    await first.subscribe("x")
    await second.subscribe("x")
    first.unsubscribe("x")
    await first.subscribe("y")
    await first.publish(items("x", 1))
    await until(lambda: len(sinks[1].publications) == 1)
    assert sinks[0].publications == []


@pytest.mark.parametrize("kind", [Unrecoverable, NoRoom, Unanswered, Unavailable, BrokerError])
def test_what_failed_at_the_parent_is_the_same_at_the_worker(kind: type[BrokerError]) -> None:
    number, body = m.read_numbered(m.encode_failure(7, kind("why")))
    error = m.read_failure(body)
    assert (number, type(error), str(error)) == (7, kind, "why")


async def test_a_subscription_says_from_where_it_delivers(workers: Workers, sinks: Sinks) -> None:
    first, second = workers
    (stored,) = await first.publish(items("x", 1))
    assert await second.subscribe("x") == stored.position
    assert await second.subscribe("new") == (await first.read_page("new")).position
    await first.publish(items("x", 2))
    await until(lambda: [p.offset for _, p in sinks[1].publications] == [2])


async def test_who_subscribed_over_a_link_that_was_lost_is_confirmed_over_the_next(
    server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    first, second = workers
    with unread(end_for(server, "second")):
        subscribing = asyncio.ensure_future(second.subscribe("x"))
        await asyncio.sleep(0)
        end_for(server, "second").abort("as the test wants it")
    assert await subscribing is None
    await first.publish(items("x", 1))
    await until(lambda: len(sinks[1].publications) == 1)


async def test_who_comes_into_a_channel_asks_once(
    server: BrokerServer, workers: Workers, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers
    asked: list[m.Request] = []
    ask = second._link.ask

    def note(request: m.Request) -> PendingRequest:
        asked.append(request)
        return ask(request)

    monkeypatch.setattr(second._link, "ask", note)
    (stored,) = await first.publish(items("x", 1))
    assert await second.subscribe_and_join("x", ClientInfo("bob", "b"), keep=True, tell=True) == stored.position
    assert [type(each) for each in asked] == [m.Enter]
    assert set(await first.read_presence("x")) == {"b"}
    await first.publish(items("x", 2))
    await until(lambda: [p.offset for _, p in sinks[1].publications] == [2])
    assert sinks[1].pushes == []  # it came before the worker listened
    with unread(end_for(server, "second")):
        entering = asyncio.ensure_future(second.subscribe_and_join("y", ClientInfo("bob", "b"), keep=True, tell=False))
        await asyncio.sleep(0)
        end_for(server, "second").abort("as the test wants it")
    assert await entering is None  # and it is confirmed over the next link, where all are told anew
    assert set(await first.read_presence("y")) == {"b"}


async def test_who_comes_into_a_channel_when_the_link_is_full_is_refused_and_not_forgotten(
    narrow: None, server: BrokerServer, workers: Workers
) -> None:
    _, second = workers
    with unread(end_for(server, "second")):
        with pytest.raises(Unavailable):
            ask_without_end(second)
        with pytest.raises(Unavailable):
            await second.subscribe_and_join("x", ClientInfo("bob", "b"), keep=True, tell=False)
    assert ("x", "b") in second._present


async def test_who_left_while_the_link_was_lost_is_not_present_after_it(server: BrokerServer, workers: Workers) -> None:
    first, second = workers
    bob = ClientInfo("bob", "b")
    await second.join("x", bob, keep=True, tell=False)
    with unread(end_for(server, "second")):
        leaving = asyncio.ensure_future(second.leave("x", bob, tell=True))
        await asyncio.sleep(0)
        end_for(server, "second").abort("as the test wants it")
    await leaving
    assert await first.read_presence("x") == {}


async def test_requests_under_way_fail_as_soon_as_the_link_is_lost(server: BrokerServer, workers: Workers) -> None:
    _, second = workers
    with unread(end_for(server, "second")):
        publishing = asyncio.ensure_future(second.publish(items("x", 1)))
        await asyncio.sleep(0)
        end_of(second).abort("as the test wants it")
        with pytest.raises(Unanswered, match="link to the parent process is lost"):
            await publishing
    assert second.statistics()["requests_unanswered"] == 0  # it was not waited for in vain


async def test_a_worker_that_was_frozen_takes_the_answers_that_came_meanwhile(
    server: BrokerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timers run before sockets are read: the look for what is overdue comes first."""
    worker = ParentBroker(server.address, "worker", deadline=0.5)
    await worker.start(RecordingSink())
    counting = asyncio.ensure_future(worker.count_presence("x"))
    await asyncio.sleep(0)
    time.sleep(0.5 / parent_link.LOOKS + parent_link.STALLED + 0.5)  # noqa: ASYNC251 - as a process that is stopped
    assert await counting == (0, 0)
    await worker.close()


async def test_decisions_are_taken_once_however_often_the_link_is_made_anew(
    server: BrokerServer, workers: Workers, sinks: Sinks
) -> None:
    _, second = workers
    for number in range(1, 4):
        server.on_control(b"%d" % number)
        await until(lambda: len(sinks[1].control) == number)  # noqa: B023 - awaited here
        end_for(server, "second").abort("as the test wants it")
        await until(lambda: sinks[1].doubts == number)  # noqa: B023
    assert sinks[1].control == [b"1", b"2", b"3"]
    await until(lambda: second.trouble == "")  # a look behind the doubt: the link is made anew first


def connect_to(server: BrokerServer) -> socket.socket:
    """Come to the parent as a process that is no worker."""
    stranger = socket.socket(socket.AF_UNIX)
    stranger.setblocking(False)
    stranger.connect(server.address)
    return stranger


def is_closed(stranger: socket.socket) -> bool:
    try:
        return stranger.recv(1000) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\x01x",
        frame_of(m.encode_request(1, m.HowMany("x"))),
        frame_of(m.encode_request(1, m.PublishItems(items("x", 1)))),
    ],
    ids=["another protocol", "a frame too short", "a question before hello", "a publish before hello"],
)
async def test_who_is_no_worker_is_sent_away_at_once(
    server: BrokerServer, workers: Workers, sinks: Sinks, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_server, "HELLO_SECONDS", 1000.0)
    first, _ = workers
    await first.subscribe("x")
    with connect_to(server) as stranger:
        stranger.send(said)
        await until(lambda: is_closed(stranger))
    await first.publish(items("x", 7))
    await until(lambda: [p.data for _, p in sinks[0].publications] == [b"7"])


async def test_who_says_nothing_is_sent_away(server: BrokerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_server, "HELLO_SECONDS", -1.0)
    monkeypatch.setattr(broker_server, "LOOK_EVERY", 0.01)
    with connect_to(server) as stranger:
        await until(lambda: is_closed(stranger))


async def test_many_who_say_nothing_keep_no_worker_out(server: BrokerServer) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connect_to(server)) for _ in range(broker_server.STRANGERS + 1)]
        await until(lambda: is_closed(silent[0]))
        assert len(server._strangers) == broker_server.STRANGERS
        worker = ParentBroker(server.address, "worker")
        await worker.start(RecordingSink())
        await worker.close()


async def test_a_process_of_another_user_is_refused_at_either_end(
    server: BrokerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with connect_to(server) as stranger:
        await until(lambda: is_closed(stranger))
    worker = ParentBroker(server.address, "worker")
    with pytest.raises(Unavailable, match=f"belongs to user {own}"):
        await worker.start(RecordingSink())


async def test_a_worker_that_ended_before_its_link_was_accepted_makes_nobody_of_it(server: BrokerServer) -> None:
    link = socket.socket(socket.AF_UNIX)
    link.connect(server.address)
    hello = m.encode_request(1, m.Hello("ended", 0))
    link.sendall(encode_length(len(hello)) + hello)
    server.note_ended("ended")  # before the parent has come to read, as when it may open no more files
    assert await asyncio.to_thread(link.recv, 100) == b""
    assert "ended" not in server._outboxes
    assert server.statistics()["links"] == 0
    link.close()


async def test_a_parent_without_room_for_another_file_takes_workers_once_it_has(
    server: BrokerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_listener, "PAUSE", 0.01)
    real = cast(socket.socket, server._listener._listening)
    refused = 0

    class Full:
        """A listening socket of a process that is at its limit."""

        def fileno(self) -> int:
            return real.fileno()

        def accept(self) -> tuple[socket.socket, object]:
            nonlocal refused
            if refused < 3:
                refused += 1
                raise OSError(errno.EMFILE, "Too many open files")
            return real.accept()

        def close(self) -> None:
            real.close()

    monkeypatch.setattr(server._listener, "_listening", Full())
    worker = ParentBroker(server.address, "worker")
    await worker.start(RecordingSink())
    assert refused == 3
    await worker.close()


async def test_a_socket_that_another_lies_upon_is_made_anew(server: BrokerServer, workers: Workers) -> None:
    os.unlink(server.address)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(server.address)
        server.keep_reachable()
        worker = ParentBroker(server.address, "worker")
        await worker.start(RecordingSink())
        await worker.close()


async def test_where_the_socket_moved_is_told(
    server: BrokerServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []
    server._on_moved = told.append
    address = server.address
    shutil.rmtree(Path(address).parent)
    Path(address).parent.write_text("of somebody else")
    server.keep_reachable()
    assert told == [server.address]
    assert server.address != address
    Path(address).parent.unlink()
    worker = ParentBroker(address, "worker")
    worker.address = told[0]
    await worker.start(RecordingSink())
    await worker.close()


async def test_a_decision_told_twice_is_taken_once(server: BrokerServer, workers: Workers, sinks: Sinks) -> None:
    server.on_control(b"disconnect alice")
    end_for(server, "second").send(m.encode_control(1, b"disconnect alice"))
    server.on_control(b"disconnect bob")
    await until(lambda: b"disconnect bob" in sinks[1].control)
    assert sinks[1].control == [b"disconnect alice", b"disconnect bob"]


async def test_decisions_that_were_taken_are_not_kept(
    server: BrokerServer, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "ALIVE_EVERY", 0.01)
    worker = ParentBroker(server.address, "worker")
    await worker.start(sinks[0])
    server.on_control(b"disconnect alice")
    assert len(server._outboxes["worker"]._decisions) == 1
    await until(lambda: not server._outboxes["worker"]._decisions)
    assert sinks[0].control == [b"disconnect alice"]
    await worker.close()


async def test_what_waited_for_room_is_confirmed_when_the_parent_has_it(
    narrow: None, server: BrokerServer, workers: Workers
) -> None:
    _, second = workers
    with unread(end_for(server, "second")):
        with pytest.raises(Unavailable):
            ask_without_end(second)
        subscribing = asyncio.ensure_future(second.subscribe("x"))
        await asyncio.sleep(0)
    await subscribing
    assert "x" in server._outboxes["second"].channels


async def test_a_parent_that_ends_is_known_at_once(server: BrokerServer, workers: Workers) -> None:
    _, second = workers
    await server.close()
    await until(lambda: "the other end closed it" in second.trouble or "cannot be reached" in second.trouble)
    with pytest.raises(Unavailable, match="nothing was sent"):
        await second.publish(items("x", 1))
