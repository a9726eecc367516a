"""Calls of the API on the wire: kept connections, pipelines, bodies in pieces or too large, and who is refused.

Raw sockets, since client libraries do not send all of this.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from messageflow.gateway import api_endpoint
from messageflow.gateway.api_endpoint import BODY_BYTES, Call, Calls
from tests.support import API_KEY, Running, running


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
        f"POST /api/publish HTTP/1.1\r\nX-API-Key: {API_KEY}\r\nContent-Length: {BODY_BYTES * 2}\r\n\r\n".encode()
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
        self.written = b""
        self.closed = self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class _Crash:
    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
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
    assert Calls(_Crash(), "key").are_allowed(headers) is allowed
    assert not Calls(_Crash(), "").are_allowed(headers)


async def test_a_call_that_crashes_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    transport, ended = _Transport(), []
    call = Call(
        Calls(_Crash(), "key"),
        b"info",
        [(b"x-api-key", b"key")],
        transport,
        FlowControl(transport),
        [],
        keep_alive=True,
        expects_continue=False,
        on_response=lambda: ended.append(True),
    )
    call.more_body = False
    await call.run_asgi(None)
    assert transport.written.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert transport.closed
    assert ended
    assert "call_crashed" in caplog.text


class _Large:
    """Answers with so many bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked = 0

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        self.asked += 1
        return 200, b"x" * self.size


def _call(calls: Calls, method: bytes, transport: _Transport, *, paused: bool) -> tuple[Call, FlowControl]:
    flow = FlowControl(transport)
    if paused:
        flow.pause_writing()
    headers = [(b"x-api-key", b"key")]
    made = Call(
        calls,
        method,
        headers,
        transport,
        flow,
        [],
        keep_alive=True,
        expects_continue=False,
        on_response=lambda: None,
    )
    made.more_body = False
    return made, flow


async def test_answers_that_nobody_takes_hold_back_others_that_only_read() -> None:
    api = _Large(api_endpoint.UNSENT_BYTES + 1)
    calls = Calls(api, "key")
    stuck, flow = _call(calls, b"history", _Transport(), paused=True)
    first = asyncio.ensure_future(stuck.run_asgi(None))
    await asyncio.sleep(0)
    reading, _ = _call(calls, b"history", _Transport(), paused=False)
    writing, _ = _call(calls, b"publish", _Transport(), paused=False)
    second = asyncio.ensure_future(reading.run_asgi(None))
    for _ in range(5):
        await asyncio.sleep(0)
    await writing.run_asgi(None)
    assert (api.asked, first.done(), second.done()) == (2, False, False)
    flow.resume_writing()
    await asyncio.wait_for(asyncio.gather(first, second), 10)
    assert api.asked == 3


async def test_a_caller_that_does_not_take_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_endpoint, "ANSWER_TIMEOUT", 0.01)
    transport = _Transport()
    call, _ = _call(Calls(_Large(10), "key"), b"history", transport, paused=True)
    await call.run_asgi(None)
    assert transport.aborted
