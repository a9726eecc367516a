"""Backends of the ancestors at a gateway: what they send over ZeroMQ is published, and nothing they send ends it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.request import Request, urlopen

import msgspec
import pytest
import zmq

from messageflow import Flow
from messageflow.compat import baselayer, cesium, message_flow, zeromq_bus
from messageflow.compat.zeromq_bus import HIGH_WATER, VARIABLE, ZeromqBus
from messageflow.core.zeromq_addresses import parse_zeromq_address
from messageflow.errors import ConfigurationError, GatewayUnreachable
from messageflow.gateway.worker_api import WorkerApi
from messageflow.gateway.zeromq_entrance import TOGETHER, ZeromqEntrance
from tests.brokers.redis.processes import Server
from tests.gateway.listeners import Classic
from tests.ports import free_port
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import until, wait_until

SECONDS = 30.0
SCRIPT = """
import os, sys
from messageflow.compat.baselayer import Flow
Flow().push("forked", "parent")
if os.fork() == 0:
    Flow().push("forked", "child")
    sys.exit()
os.wait()
"""


class Bus:
    """A gateway of two workers over Redis, and where it listens."""

    def __init__(self, gateway: Running, push: str, pub: str) -> None:
        self.gateway = gateway
        self.push = push
        self.pub = pub
        self.flow = Flow(gateway.url, api_key=API_KEY)

    def stored(self, channel: str) -> list[tuple[Any, Any]]:
        found = self.flow.history(channel, limit=1000).publications
        return [(each.data["type"], each.data["payload"]) for each in found]

    def count(self, outcome: str) -> float:
        lines = self.metrics("messageflow_zeromq_messages_total")
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if f'"{outcome}"' in line)

    def metrics(self, beginning: str) -> list[str]:
        asked = Request(self.gateway.url + "/metrics", headers={"X-API-Key": API_KEY})
        with urlopen(asked, timeout=SECONDS) as answer:
            return [line for line in answer.read().decode().splitlines() if line.startswith(beginning)]


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    place = tmp_path_factory.mktemp("bus")
    push, pub = f"ipc://{place}/push", f"pub+ipc://{place}/pub"
    redis = Server(place)
    flags = ["--broker", redis.url, "--workers", "2", "--classic", "cesium", "--zeromq", push, "--zeromq", pub]
    try:
        with running(["serve", *flags], place) as gateway:
            yield Bus(gateway, push, pub)
    finally:
        redis.stop()


@contextmanager
def connected(kind: int, address: str) -> Iterator[zmq.Socket[bytes]]:
    """A socket as an ancestor's `Flow` makes it."""
    context = zmq.Context()
    made = context.socket(kind)
    made.connect(address.removeprefix("pub+"))
    try:
        yield made
    finally:
        context.destroy(linger=0)


def test_what_backends_push_is_stored_in_their_order(bus: Bus) -> None:
    with connected(zmq.PUSH, bus.push) as socket:
        for number in range(300):
            message = {"username": "7", "action": "cesium/FETCH", "payload": {"id": number, "für": "ü" * (number % 2)}}
            socket.send_multipart([b"7", json.dumps(message, indent=2).encode()])
        socket.send_multipart([b"*", b'{"user_id": "*", "actionType": "ALL", "payload": {}}'])
        wait_until(lambda: bus.stored("*") == [("ALL", {})], SECONDS)
    assert [payload["id"] for _, payload in bus.stored("#7")] == [*range(300)]


def test_pages_at_each_worker_hear_it(bus: Bus) -> None:
    flow = Flow(bus.gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)
    pages = [Classic(bus.gateway, flow.token("page")) for _ in range(8)]
    at_each = [float(line.rpartition(" ")[2]) for line in bus.metrics("messageflow_sessions{")]
    assert (len(at_each), sum(at_each)) == (2, len(pages))
    with connected(zmq.PUSH, bus.push) as socket:
        socket.send_multipart([b"page", b'{"username": "page", "action": "HERE", "payload": {"a": 1}}'])
        assert [page.hear() for page in pages] == [("HERE", {"a": 1})] * len(pages)
    for page in pages:
        page.abort()


def test_backends_with_a_pub_socket_are_heard(bus: Bus) -> None:
    with connected(zmq.PUB, bus.pub) as socket:

        def is_heard() -> bool:
            socket.send(b'0 {"user": "pub", "id": "TASK DONE", "data": "Hello"}')
            return bool(bus.stored("#pub"))

        wait_until(is_heard, SECONDS)  # what such a socket sends before it is connected is lost
    assert bus.stored("#pub")[0] == ("TASK DONE", "Hello")


def test_what_cannot_be_published_is_counted_and_told_and_what_follows_is(bus: Bus) -> None:
    malformed, refused = bus.count("malformed"), bus.count("refused")
    with connected(zmq.PUSH, bus.push) as socket:
        for message in (b"{", b'{"action": "T", "payload": NaN}'):
            socket.send_multipart([b"8", message])
        socket.send(b'0 {"username": "*", "id": "T"}')
        socket.send_multipart([b"8", b'{"action": ""}'])
        socket.send_multipart([b"8", b'{"action": "T", "payload": "%b"}' % (b"x" * 70_000)])
        socket.send_multipart([b"8", b'{"action": "LAST"}'])
        wait_until(lambda: bus.stored("#8"), SECONDS)
    assert bus.stored("#8") == [("LAST", {})]
    wait_until(lambda: (bus.count("malformed"), bus.count("refused")) == (malformed + 2, refused + 3), SECONDS)
    wait_until(lambda: len(bus.gateway.events("zeromq_message_refused")) >= 5, SECONDS)


def test_a_worker_that_dies_leaves_the_bus_to_the_next(bus: Bus) -> None:
    first = next(line for line in bus.gateway.events("worker_ready") if line["number"] == 1)
    with connected(zmq.PUSH, bus.push) as socket:
        socket.send_multipart([b"9", b'{"action": "BEFORE"}'])
        wait_until(lambda: bus.stored("#9"), SECONDS)
        os.kill(cast(int, first["pid"]), signal.SIGKILL)
        wait_until(lambda: bus.gateway.events("worker_died"), SECONDS)
        socket.send_multipart([b"9", b'{"action": "AFTER"}'])
        wait_until(lambda: bus.stored("#9")[-1:] == [("AFTER", {})], SECONDS)


def test_our_flows_push_over_it_where_it_is_configured(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"{bus.pub}, {bus.push}")
    baselayer.Flow("localhost", 64002).push(10, "ONE", {"a": 1})
    cesium.Flow("ipc:///tmp/message_flow_in").push("10", "TWO")
    message_flow.push("10", "TASK DONE", "Hello")
    wait_until(lambda: len(bus.stored("#10")) == 3, SECONDS)
    assert bus.stored("#10") == [("ONE", {"a": 1}), ("TWO", {}), ("TASK DONE", "Hello")]
    with pytest.raises(ValueError, match="everyone"):
        message_flow.push("*", "TASK DONE", "Hello")


def test_a_process_and_its_child_end_when_they_have_sent(bus: Bus) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], env={**os.environ, VARIABLE: bus.push}, check=True, timeout=SECONDS)
    wait_until(lambda: {type_ for type_, _ in bus.stored("#forked")} == {"parent", "child"}, SECONDS)


def test_nobody_waits_for_a_bus_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeromq_bus, "LINGER", 0)
    bus = ZeromqBus(f"ipc://{tmp_path}/nobody")
    for _ in range(HIGH_WATER):
        bus.send("7", b"{}")
    with pytest.raises(GatewayUnreachable, match=VARIABLE):
        bus.send("7", b"{}")


class Standing:
    """In place of a worker's API: answers what it is told to, and keeps what it was asked."""

    def __init__(self, *statuses: int) -> None:
        self.over_zeromq: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self.free = asyncio.Event()
        self.free.set()
        self.logged: list[str] = []
        runtime = SimpleNamespace(spawn=lambda work, name: asyncio.get_running_loop().create_task(work))
        self.hub = SimpleNamespace(runtime=runtime, log_limited=lambda level, event, **_: self.logged.append(event))
        self._statuses = list(statuses)

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        await self.free.wait()
        self.bodies.append(body)
        status = self._statuses.pop(0) if self._statuses else 200
        if status != 200:
            return status, b'{"error":{"code":100,"message":"not now"}}'
        count = len(msgspec.json.decode(body)["commands"])
        return 200, b'{"replies":[%b]}' % b",".join([b"{}"] * count)

    def listen(self, place: Path | int) -> tuple[ZeromqEntrance, str]:
        address = parse_zeromq_address(f"ipc://{place}/in" if isinstance(place, Path) else f"tcp://127.0.0.1:{place}")
        entrance = ZeromqEntrance([address], cast(WorkerApi, self), 1000)
        entrance.open()
        return entrance, address.endpoint


async def test_while_the_broker_is_away_the_same_is_tried_again(tmp_path: Path) -> None:
    api = Standing(503, 507)
    entrance, address = api.listen(tmp_path)
    with connected(zmq.PUSH, address) as socket:
        socket.send_multipart([b"7", b'{"action": "T"}'])
        await until(lambda: api.over_zeromq["published"])
    await entrance.close()
    assert len(api.bodies) == 3
    assert len({*api.bodies}) == 1  # with the key by which it is stored once
    assert b"idempotency_key" in api.bodies[0]
    assert api.logged == ["zeromq_waits"] * 2


async def test_one_that_all_were_refused_for_is_found(tmp_path: Path) -> None:
    api = Standing(413, 413)
    api.free.clear()
    entrance, address = api.listen(tmp_path)
    with connected(zmq.PUSH, address) as socket:
        for _ in range(9):
            socket.send_multipart([b"7", b'{"action": "T"}'])
        await asyncio.sleep(0)
        api.free.set()
        await until(lambda: api.over_zeromq.total() == 9)
    await entrance.close()
    assert api.over_zeromq["published"] + api.over_zeromq["refused"] == 9
    assert api.over_zeromq["refused"] <= 2


async def test_senders_wait_while_nothing_is_published_and_what_has_come_is_at_the_end(tmp_path: Path) -> None:
    api = Standing()
    api.free.clear()
    entrance, address = api.listen(tmp_path)
    with connected(zmq.PUSH, address) as socket:
        taken = 0
        large = b'{"action": "T", "payload": "%b"}' % (b"x" * 9000)

        def is_full() -> bool:
            nonlocal taken
            try:
                socket.send_multipart([b"7", large], zmq.NOBLOCK)
            except zmq.Again:
                return True
            taken += 1
            return False

        await until(is_full)
        closing = asyncio.create_task(entrance.close())
        api.free.set()
        await closing
    assert TOGETHER < api.over_zeromq["published"] <= taken
    assert max(body.count(b"idempotency_key") for body in api.bodies) <= TOGETHER


async def test_what_says_no_hello_is_no_message() -> None:
    """Before version 3 of the protocol any bytes were messages: a page could post some to this machine."""
    api = Standing()
    entrance, address = api.listen(port := free_port())
    message = b'{"action": "FORGED"}'
    forged = b"\x01\x00" + b"\x02\x01*" + bytes([len(message) + 1, 0]) + message
    _, old = await asyncio.open_connection("127.0.0.1", port)
    old.write(forged * 3)
    await old.drain()
    with connected(zmq.PUSH, address) as socket:
        socket.send_multipart([b"7", b'{"action": "T"}'])
        await until(lambda: api.over_zeromq["published"])
    old.close()
    await entrance.close()
    assert b"FORGED" not in b"".join(api.bodies)


async def test_an_address_that_another_has_is_refused(tmp_path: Path) -> None:
    api = Standing()
    entrance, address = api.listen(tmp_path)
    try:
        for taken in (address, "tcp://192.0.2.1:9"):
            with pytest.raises(ConfigurationError, match=r"zeromq: .* cannot be listened on"):
                ZeromqEntrance([parse_zeromq_address(taken)], cast(WorkerApi, api), 1000).open()
    finally:
        await entrance.close()
