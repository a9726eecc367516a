"""Connections on which backends push one after another are lent to the parent, and come back with all they carry."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from messageflow import Flow
from messageflow.brokers.base import Later, Stored
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.stream import Item
from messageflow.gateway.settings import Settings
from messageflow.gateway.workers import borrowed_connections, lender
from messageflow.gateway.workers.borrowed_connections import BORROWED_MOST, BorrowedConnections, SameHead
from messageflow.gateway.workers.descriptor_channel import DescriptorChannel, make_pair
from messageflow.testing.broker_suite import RecordingSink
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import until, wait_until

SECONDS = 15.0
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"  # of which metrics are shown without a key


def request(user: str, key: str = "", method: str = "push") -> bytes:
    body = json.dumps({"user": user, "type": "t", "payload": 1, "idempotency_key": key}).encode()
    head = f"POST /api/{method} HTTP/1.1\r\nHost: here\r\nX-API-Key: {API_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


# Heads


HEAD = b"POST /api/push HTTP/1.1\r\nHost: here\r\ncontent-LENGTH: 12\r\nX-API-Key: k\r\n\r\n"


@pytest.mark.parametrize("length", [0, 7, 12, 123_456_789])
def test_the_same_head_with_another_length_is_known(length: int) -> None:
    assert SameHead(HEAD).read_length(HEAD.replace(b"12", b"%d" % length)) == length


@pytest.mark.parametrize(
    "head",
    [
        b"",
        HEALTH,
        HEAD.replace(b"12", b""),
        HEAD.replace(b"12", b"-1"),
        HEAD.replace(b"12", b"1_2"),
        HEAD.replace(b"12", b"1234567890"),
        HEAD.replace(b"12", b"12\r\nX-API-Key: other"),
        HEAD.replace(b"push", b"publish"),
        HEAD.replace(b": k", b": l"),
        HEAD[:-4],
    ],
)
def test_any_other_head_is_not(head: bytes) -> None:
    assert SameHead(HEAD).read_length(head) == -1


def test_a_head_without_a_length_is_like_none() -> None:
    head = HEALTH
    assert SameHead(head).read_length(head) == -1


# The parent's side, with a socket of a backend and the other end of a worker


class World:
    """A parent, one worker's end, and who came back to it."""

    def __init__(self, borrowed: BorrowedConnections, lending: int) -> None:
        self.borrowed = borrowed
        self.returned: list[tuple[socket.socket, bytes]] = []
        self.channel = DescriptorChannel(socket.socket(fileno=socket.dup(lending)), self._take_back)
        self._sockets: list[socket.socket] = []

    def _take_back(self, end: socket.socket, content: bytes) -> None:
        self._sockets.append(end)
        self.returned.append((end, content))

    def lend(self, content: bytes) -> socket.socket:
        """Lend a connection with a request; return the backend's end."""
        backend, end = socket.socketpair()
        backend.setblocking(False)
        self._sockets.append(backend)
        assert self.channel.send(end.fileno(), content)
        end.close()
        return backend

    def close(self) -> None:
        self.channel.close()
        for each in self._sockets:
            each.close()


class SlowBroker(MemoryBroker):
    """Has what is stored under the key *later* stored when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Item, Later]] = []

    def publish_now(self, item: Item, later: Later) -> Stored | None:  # type: ignore[override]  # as the durable one
        if item.key == "later":
            self.waiting.append((item, later))
            return None
        return super().publish_now(item, later)

    def store(self) -> None:
        item, later = self.waiting.pop()
        later(super().publish_now(item, later), None)


@pytest.fixture
async def broker() -> AsyncIterator[SlowBroker]:
    broker = SlowBroker()
    await broker.start(RecordingSink())
    yield broker
    await broker.close()


@pytest.fixture
async def world(broker: SlowBroker) -> AsyncIterator[World]:
    borrowed = BorrowedConnections(broker, Settings())
    with borrowed.lending() as lending:
        world = World(borrowed, lending)
        yield world
        borrowed.close()
        world.close()
        await until(lambda: not borrowed)


async def hear(backend: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(backend, 65_536), SECONDS)


async def say(backend: socket.socket, content: bytes) -> bytes:
    backend.send(content)
    return await hear(backend)


def offset(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    return int(json.loads(answer.partition(b"\r\n\r\n")[2])["result"]["offset"])


async def test_what_was_asked_before_and_after_is_carried_out(world: World) -> None:
    backend = world.lend(request("ann"))
    assert offset(await hear(backend)) == 1
    assert offset(await say(backend, request("ann"))) == 2
    assert offset(await say(backend, request("ann", "a key that makes the body longer"))) == 3
    assert world.borrowed.answered.api_calls == {"push": 3}
    assert not world.returned


@pytest.mark.parametrize(
    "other",
    [
        HEALTH,
        request("ann", method="publish"),
        request("ann")[:-1],
        request("ann") + request("ann"),
        request("*"),  # is refused, which is the worker's to say
        request("bj\u00f6rn").replace(b"bj\\u00f6rn", "bj\u00f6rnna".encode()),
    ],
    ids=["another path", "another call", "a part", "two", "a call that is refused", "not ASCII"],
)
async def test_anything_else_goes_back_as_it_came(world: World, other: bytes) -> None:
    backend = world.lend(request("ann"))
    await hear(backend)
    backend.send(other)
    await until(lambda: world.returned)
    end, content = world.returned[0]
    assert content == other
    end.send(b"the worker")
    assert await hear(backend) == b"the worker"
    assert world.borrowed.answered.api_calls == {"push": 1}
    assert not len(world.borrowed)


async def test_who_asks_before_they_are_answered_is_answered_first(world: World, broker: SlowBroker) -> None:
    backend = world.lend(request("ann", "later"))
    await until(lambda: broker.waiting)
    backend.send(request("ann"))
    await asyncio.sleep(0.01)
    broker.store()
    assert offset(await hear(backend)) == 1
    await until(lambda: world.returned)
    assert world.returned[0][1] == request("ann")


async def test_an_idle_connection_goes_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowed_connections, "IDLE", 0.02)
    backend = world.lend(request("ann"))
    await hear(backend)
    await until(lambda: world.returned)
    assert world.returned[0][1] == b""


async def test_more_than_a_few_are_not_taken(world: World) -> None:
    for _ in range(BORROWED_MOST):
        await hear(world.lend(request("ann")))
    world.lend(request("bob"))
    await until(lambda: world.returned)
    assert world.returned[0][1] == request("bob")
    assert len(world.borrowed) == BORROWED_MOST


async def test_without_a_worker_that_takes_it_a_connection_ends(world: World) -> None:
    backend = world.lend(request("ann"))
    await hear(backend)
    world.borrowed._lenders.clear()
    assert await say(backend, HEALTH) == b""


async def test_at_the_end_what_is_under_way_is_answered(world: World, broker: SlowBroker) -> None:
    idle = world.lend(request("ann"))
    await hear(idle)
    backend = world.lend(request("ann", "later"))
    await until(lambda: broker.waiting)
    world.borrowed.close()
    assert await hear(idle) == b""
    broker.store()
    answer = await hear(backend)
    assert b"connection: close\r\n" in answer
    assert await hear(backend) == b""
    assert await hear(world.lend(request("ann"))) == b""  # comes too late


async def test_a_broken_connection_is_let_go_of(world: World) -> None:
    backend = world.lend(request("ann"))
    await hear(backend)
    backend.close()
    await until(lambda: not len(world.borrowed))


async def test_a_failing_broker_is_answered_as_by_a_worker(world: World, broker: SlowBroker) -> None:
    backend = world.lend(request("ann"))
    await hear(backend)
    await broker.close()
    assert b'{"error":{"code":100,"message":"the broker is not running"}}' in await say(backend, request("ann"))


async def test_a_channel_whose_other_end_is_gone_sends_nothing() -> None:
    ends = make_pair()
    assert ends is not None
    channel = DescriptorChannel(ends[0], lambda end, content: None)
    ends[1].close()
    assert not channel.send(0, b"")
    await asyncio.sleep(0)
    channel.close()


# All of it


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(("serve", "--workers", "2"), tmp_path_factory.mktemp("lending")) as started:
        yield started


class Backend:
    """A kept connection, and the pushes made on it."""

    def __init__(self, port: int, user: str) -> None:
        self.link = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.user = user
        self.offset = 0

    def ask(self, content: bytes) -> bytes:
        self.link.sendall(content)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._read()
        head, _, body = answer.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        assert found is not None
        while len(body) < int(found[1]):
            body += self._read()
        return head + b"\r\n\r\n" + body

    def _read(self) -> bytes:
        piece = self.link.recv(65_536)
        assert piece, "the connection was closed"
        return piece

    def push(self, count: int) -> None:
        """Push so often; each receipt is the one after the last."""
        for _ in range(count):
            self.offset += 1
            assert offset(self.ask(request(self.user))) == self.offset


def answered_by_parent(backend: Backend) -> float:
    text = backend.ask(HEALTH.replace(b"health", b"metrics")).decode()
    found = re.search(r'^messageflow_api_calls_total\{method="push",worker="parent"\} (\S+)', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_busy_pushes_are_the_parents_and_all_else_goes_on_at_the_worker(gateway: Running) -> None:
    backend, other = Backend(gateway.port, "ann"), Backend(gateway.port, "")

    def is_lent(before: float) -> bool:
        backend.push(2 * lender.BUSY_PUSHES)
        return answered_by_parent(other) > before

    for _ in range(2):  # is lent, comes back, and is lent again
        wait_until(partial(is_lent, answered_by_parent(other)), 60.0)
        assert backend.ask(HEALTH).startswith(b"HTTP/1.1 200 OK")
        backend.push(1)
    backend.link.close()
    other.link.close()


def test_a_flow_notices_nothing(gateway: Running) -> None:
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        for number in range(1, 401):
            assert flow.push("eve", "n", {"text": "x" * number}).offset == number
        assert flow.publish("chat", 1).offset == 1
        assert flow.push("eve", "n").offset == 401
