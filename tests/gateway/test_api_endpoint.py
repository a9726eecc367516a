"""Calls of the API on the wire: kept connections, pipelines, bodies in pieces or too large, and who is refused.

Raw sockets, since client libraries do not send all of this.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any

import pytest

from messageflow.gateway.api_endpoint import Answering, ApiEndpoint, ApiKey
from messageflow.gateway.front_door.front_door import FrontDoor
from messageflow.gateway.front_door.http_connection import HttpConnection
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.routes import Routes
from messageflow.gateway.paths import Paths
from tests.support import API_KEY, Running, running
from tests.waiting import until

BODY_BYTES = HttpLimits().body_bytes


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(["serve", "--broker", "memory"], tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.fixture
def wire(gateway: Running) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        yield connection


def request(
    method: str, body: bytes = b"{}", headers: str = f"X-API-Key: {API_KEY}\r\n", version: str = "1.1"
) -> bytes:
    head = f"POST /api/{method} HTTP/{version}\r\nHost: here\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def publish(number: int) -> bytes:
    return request("publish", json.dumps({"channel": "x", "data": number}).encode())


def answer(wire: socket.socket) -> tuple[int, Any, HTTPResponse]:
    response = HTTPResponse(wire)
    response.begin()
    return response.status, json.loads(response.read() or b"null"), response


def answers(wire: socket.socket, count: int) -> list[Any]:
    """Read so many answers that were asked for together."""
    found = []
    with wire.makefile("rb") as file:
        for _ in range(count):
            assert file.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = dict(iter(lambda: file.readline().strip().partition(b": ")[::2], (b"", b"")))
            found.append(json.loads(file.read(int(headers[b"content-length"]))))
    return found


def test_calls_on_a_kept_connection_are_answered_one_by_one(wire: socket.socket) -> None:
    for number in range(3):
        wire.sendall(publish(number))
        status, body, response = answer(wire)
        assert status == 200
        assert body["result"]["channel"] == "x"
        assert response.headers["content-type"] == "application/json"
        assert response.headers["date"]


def test_pipelined_calls_are_answered_in_order(wire: socket.socket) -> None:
    wire.sendall(b"".join(map(publish, range(20))) + b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
    offsets = [each["result"]["offset"] for each in answers(wire, 20)]
    assert offsets == list(range(offsets[0], offsets[0] + 20))


def test_a_body_may_come_in_pieces(wire: socket.socket) -> None:
    whole = publish(1)
    for byte in range(len(whole)):
        wire.sendall(whole[byte : byte + 1])
    status, body, _ = answer(wire)
    assert (status, body["result"]["channel"]) == (200, "x")


def test_who_asks_whether_to_go_on_is_told_to(wire: socket.socket) -> None:
    body = json.dumps({"channel": "x", "data": "x" * 50_000}).encode()
    head, _, _ = request("publish", body, f"X-API-Key: {API_KEY}\r\nExpect: 100-continue\r\n").partition(b"\r\n\r\n")
    wire.sendall(head + b"\r\n\r\n")
    assert wire.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(body)
    status, stored, _ = answer(wire)
    assert (status, stored["result"]["channel"]) == (200, "x")


def test_a_body_over_the_limit_is_refused_and_the_connection_closed(wire: socket.socket) -> None:
    wire.sendall(
        f"POST /api/publish HTTP/1.1\r\nHost: here\r\nX-API-Key: {API_KEY}\r\n"
        f"Content-Length: {BODY_BYTES * 2}\r\n\r\n".encode()
    )
    piece = b" " * 65_536
    try:
        for _ in range(2 * BODY_BYTES // len(piece)):
            wire.sendall(piece)
    except OSError:
        pass  # refused before all of it was sent
    try:
        status, refused, _ = answer(wire)
        assert (status, refused["error"]["code"]) == (413, 107)
    except ConnectionResetError:
        pass  # the kernel dropped the answer, since we were still sending


@pytest.mark.parametrize(
    "headers", ["", "X-API-Key: wrong\r\n", "Authorization: apikey wrong\r\n", "X-API-Key: \xff\r\n"]
)
def test_without_the_key_nothing_is_done(wire: socket.socket, headers: str) -> None:
    wire.sendall(request("publish", b"{}", headers))
    status, body, _ = answer(wire)
    assert (status, body["error"]["code"]) == (401, 101)


def test_the_key_may_come_as_authorization(wire: socket.socket) -> None:
    wire.sendall(request("info", b"", f"Authorization: apikey {API_KEY}\r\n"))
    status, body, _ = answer(wire)
    assert (status, len(body["result"]["nodes"])) == (200, 1)


def test_a_client_of_the_old_version_is_answered_and_let_go(wire: socket.socket) -> None:
    wire.sendall(request("info", version="1.0"))
    status, body, response = answer(wire)
    assert (status, len(body["result"]["nodes"])) == (200, 1)
    assert response.headers["connection"] == "close"
    assert wire.recv(1) == b""


def test_only_post_calls(wire: socket.socket) -> None:
    wire.sendall(b"GET /api/info HTTP/1.1\r\nHost: here\r\n\r\n")
    status, body, response = answer(wire)
    assert (status, response.headers["allow"]) == (405, "POST")
    assert "POST" in body["error"]["message"]


def test_a_method_that_is_none_is_an_error_of_the_protocol(wire: socket.socket) -> None:
    wire.sendall(request("nothing"))
    status, body, _ = answer(wire)
    assert (status, body["error"]["code"]) == (200, 104)


@pytest.mark.parametrize(
    "offer",
    [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    ],
)
def test_an_upgrade_that_nobody_takes_is_passed_over(wire: socket.socket, offer: str) -> None:
    body = json.dumps({"channel": "x", "data": 1}).encode()
    wire.sendall(request("publish", body, f"X-API-Key: {API_KEY}\r\n{offer}") + publish(2))
    offsets = [each["result"]["offset"] for each in answers(wire, 2)]
    assert offsets[1] == offsets[0] + 1


def test_the_absolute_form_of_an_address_will_do(wire: socket.socket) -> None:
    wire.sendall(publish(1).replace(b"POST /api/", b"POST http://here/api/", 1))
    status, body, _ = answer(wire)
    assert (status, body["result"]["channel"]) == (200, "x")


@pytest.mark.parametrize("late", [b"\r\n", b"x"])
def test_bytes_that_begin_no_request_do_not_keep_a_connection(
    late: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("impatient")
    (directory / "messageflow.toml").write_text('handshake_timeout = "1s"\n')
    with (
        running(["serve", "--broker", "memory", "--config", str(directory / "messageflow.toml")], directory) as gateway,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection,
    ):
        connection.sendall(publish(1))
        assert answer(connection)[0] == 200
        connection.sendall(late)
        while connection.recv(1000):
            pass


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.on_write: Callable[[], None] = lambda: None
        self.written = b""
        self.closed = self.aborted = self.ended = False

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)
        self.on_write()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class _Crash:
    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        raise ZeroDivisionError

    def start(self, method: str, body: bytes, answer: object) -> bool:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ([(b"x-api-key", b"key")], True),
        ([(b"authorization", b"apikey key")], True),
        ([(b"authorization", b"Bearer key")], False),
        ([(b"x-api-key", b"ke")], False),
        ([(b"x-api-key", b"key ")], False),
        ([(b"x-api-key", b"")], False),
        ([], False),
    ],
)
def test_who_has_the_key_may_call(headers: list[tuple[bytes, bytes]], allowed: bool) -> None:
    assert ApiKey("key").is_in(headers) is allowed
    assert not ApiKey("").is_in(headers)


class _Port:
    """A port on which there is only the API.

    Attributes:
        connections: those on which nothing has been closed.
    """

    def __init__(self, api: Answering, limits: HttpLimits) -> None:
        endpoint = ApiEndpoint(api, ApiKey("key"), Paths("/", guest=True), limits)
        self.door = FrontDoor(Routes({}, {}, endpoint), limits, lambda *, handshake: None)

    def call(self, method: str, *, paused: bool = False, body: bytes = b"") -> tuple[_Transport, HttpConnection]:
        """Make a call on a connection of its own, whose caller takes nothing when `paused`."""
        transport, connection = _Transport(), HttpConnection(self.door)
        connection.connection_made(transport)
        if paused:
            transport.on_write = connection.pause_writing
        connection.data_received(
            b"POST /api/%b HTTP/1.1\r\nHost: here\r\nX-API-Key: key\r\nContent-Length: %d\r\n\r\n%b"
            % (method.encode(), len(body), body)
        )
        return transport, connection


@pytest.mark.parametrize("method", ["info", "push"])
async def test_a_call_that_crashes_is_answered_and_logged(method: str, caplog: pytest.LogCaptureFixture) -> None:
    transport, _ = _Port(_Crash(), HttpLimits()).call(method)
    await until(lambda: transport.closed)
    assert transport.written.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b'"code":100' in transport.written
    assert "call_crashed" in caplog.text


class _Large:
    """Answers with so many bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked = 0

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        self.asked += 1
        return 200, b"x" * self.size

    def start(self, method: str, body: bytes, answer: object) -> bool:
        return False


async def test_answers_that_nobody_takes_hold_back_others_that_only_read() -> None:
    limits = HttpLimits()
    api = _Large(limits.unsent_bytes + 1)
    port = _Port(api, limits)
    stuck, connection = port.call("history", paused=True)
    await until(lambda: stuck.written)
    reading, _ = port.call("history")
    for _ in range(5):
        await asyncio.sleep(0)
    writing, _ = port.call("publish")
    await until(lambda: writing.written)
    assert (api.asked, reading.written) == (2, b"")
    connection.resume_writing()
    await until(lambda: reading.written)
    assert api.asked == 3


async def test_answers_whose_caller_left_hold_back_nobody() -> None:
    limits = HttpLimits()
    api = _Large(limits.unsent_bytes + 1)
    port = _Port(api, limits)
    stuck, connection = port.call("history", paused=True)
    await until(lambda: stuck.written)
    connection.connection_lost(None)
    reading, _ = port.call("history")
    await until(lambda: reading.written)


async def test_a_caller_that_does_not_take_its_answer_is_given_up() -> None:
    transport, _ = _Port(_Large(10), HttpLimits(answer_timeout=0.01)).call("history", paused=True)
    await until(lambda: transport.aborted)


async def test_what_follows_an_answer_that_is_not_taken_waits() -> None:
    api = _Large(10)
    transport, connection = _Port(api, HttpLimits()).call("history", paused=True)
    connection.data_received(b"POST /api/info HTTP/1.1\r\nHost: here\r\nX-API-Key: key\r\n\r\n")
    await until(lambda: transport.written)
    for _ in range(5):
        await asyncio.sleep(0)
    assert api.asked == 1
    connection.resume_writing()
    await until(lambda: api.asked == 2)


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    port = _Port(_Large(10), HttpLimits(body_timeout=0.01))
    transport, connection = _Transport(), HttpConnection(port.door)
    connection.connection_made(transport)
    connection.data_received(b"POST /api/info HTTP/1.1\r\nHost: here\r\nX-API-Key: key\r\nContent-Length: 5\r\n\r\n123")
    await until(lambda: transport.closed or transport.ended)
    assert transport.written.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close\r\n" in transport.written


async def test_a_body_in_chunks_is_bounded_too() -> None:
    api = _Large(10)
    port = _Port(api, HttpLimits(body_bytes=100))
    transport, connection = _Transport(), HttpConnection(port.door)
    connection.connection_made(transport)
    connection.data_received(
        b"POST /api/info HTTP/1.1\r\nHost: here\r\nX-API-Key: key\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    connection.data_received(b"32\r\n" + b"x" * 50 + b"\r\n")
    assert transport.written == b""
    connection.data_received(b"33\r\n" + b"x" * 51 + b"\r\n")
    assert transport.written.startswith(b"HTTP/1.1 413 ")
    assert transport.ended
    assert api.asked == 0
