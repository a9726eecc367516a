"""One kept connection that carries requests for the gateway and for the application, in any order, under `run`.

Raw sockets: browsers and proxies reuse connections so, and no client library of ours does.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from tests.gateway.asking import UPGRADE, get
from tests.support import API_KEY, Running, running

APPLICATION = """
import asyncio

gone = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        said = (await receive())["text"]
        await send({"type": "websocket.send", "text": said + " of " + str(sorted(scope["state"]))})
        await send({"type": "websocket.close"})
        return
    path = scope["path"]
    if path == "/early":
        await answer(send, b"early")
        return
    if path == "/gone":
        await answer(send, b"%d" % gone.count("/left"))
        return
    if path == "/crash":
        raise ZeroDivisionError
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            gone.append(path)
            return
        body, more = body + message["body"], message["more_body"]
    if path == "/slow":
        await asyncio.sleep(0.2)
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body"})
        return
    await answer(send, b"%b %b %b" % (scope["method"].encode(), path.encode(), body))

async def answer(send, body):
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("project")
    (directory / "project.py").write_text(APPLICATION)
    with running(["run", "project:app", "--broker", "memory"], directory, cwd=directory) as started:
        yield started


@pytest.fixture
def wire(gateway: Running) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        yield connection


@pytest.fixture
def answers(wire: socket.socket) -> Iterator[BinaryIO]:
    with wire.makefile("rb") as file:
        yield file


def request(path: str, body: bytes = b"", *headers: str, method: str = "POST") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: here", *headers, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(lines).encode() + body


def call(number: int) -> bytes:
    body = json.dumps({"channel": "x", "data": number}).encode()
    return request("/messageflow/api/publish", body, f"X-API-Key: {API_KEY}")


def answer(file: BinaryIO) -> tuple[int, bytes]:
    """Read one answer."""
    status = int(file.readline().split()[1])
    headers = dict(iter(lambda: file.readline().strip().lower().partition(b": ")[::2], (b"", b"")))
    if headers.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(file.readline(), 16):
            body += file.read(size + 2)[:-2]
        file.readline()
        return status, body
    return status, file.read(int(headers.get(b"content-length", 0)))


HEALTH = request("/messageflow/health", method="GET")


def test_requests_for_both_take_turns_on_one_connection(wire: socket.socket, answers: BinaryIO) -> None:
    for number in range(3):
        wire.sendall(request("/a", b"body"))
        assert answer(answers) == (200, b"POST /a body")
        wire.sendall(call(number))
        assert answer(answers)[0] == 200
        wire.sendall(HEALTH)
        assert answer(answers) == (200, b"ok\n")
        wire.sendall(request("/stream", method="GET"))
        assert answer(answers) == (200, b"012")


@pytest.mark.parametrize("first", ["/slow", "/stream"])
def test_a_call_behind_the_application_waits_its_turn_and_the_reverse(
    wire: socket.socket, answers: BinaryIO, first: str
) -> None:
    wire.sendall(request(first, b"1") + call(1) + request("/slow", b"2") + HEALTH + request("/a", b"3") + call(2))
    found = [answer(answers) for _ in range(6)]
    assert [status for status, _ in found] == [200] * 6
    assert found[0][1] == (b"012" if first == "/stream" else b"POST /slow 1")
    assert b'"offset"' in found[1][1]
    assert [body for _, body in found[2:5]] == [b"POST /slow 2", b"ok\n", b"POST /a 3"]
    assert b'"offset"' in found[5][1]


def test_a_pipeline_byte_by_byte_is_the_same(wire: socket.socket, answers: BinaryIO) -> None:
    chunked = (
        b"POST /a HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n"
    )
    for byte in chunked + call(1) + request("/b", b"x") + HEALTH:
        wire.sendall(bytes([byte]))
    assert answer(answers) == (200, b"POST /a abcde")
    assert answer(answers)[0] == 200
    assert answer(answers) == (200, b"POST /b x")
    assert answer(answers) == (200, b"ok\n")


def test_an_application_that_answers_before_the_body_has_come_loses_nothing(
    wire: socket.socket, answers: BinaryIO
) -> None:
    whole = request("/early", b"x" * 200_000)
    wire.sendall(whole[:1000])
    assert answer(answers) == (200, b"early")
    wire.sendall(whole[1000:] + call(1) + request("/a", b"y"))
    assert answer(answers)[0] == 200
    assert answer(answers) == (200, b"POST /a y")


def test_a_large_body_reaches_the_application_whole(wire: socket.socket, answers: BinaryIO) -> None:
    body = bytes(range(256)) * 4096
    wire.sendall(request("/a", body) + HEALTH)
    assert answer(answers) == (200, b"POST /a " + body)
    assert answer(answers) == (200, b"ok\n")


def test_who_expects_a_word_gets_it_from_the_application(wire: socket.socket, answers: BinaryIO) -> None:
    head, _, _ = request("/a", b"body", "Expect: 100-continue").partition(b"\r\n\r\n")
    wire.sendall(head + b"\r\n\r\n")
    assert answers.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert answers.readline() == b"\r\n"
    wire.sendall(b"body" + HEALTH)
    assert answer(answers) == (200, b"POST /a body")
    assert answer(answers) == (200, b"ok\n")


def test_an_application_that_fails_ends_the_connection_after_its_answer(wire: socket.socket, answers: BinaryIO) -> None:
    wire.sendall(request("/crash") + call(1))
    assert answer(answers)[0] == 500
    assert answers.read() == b""


def test_head_and_old_clients_reach_the_application_as_they_are(wire: socket.socket, answers: BinaryIO) -> None:
    wire.sendall(request("/a", method="HEAD") + request("/a").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
    while answers.readline() != b"\r\n":
        pass
    assert answer(answers) == (200, b"POST /a ")
    assert answers.read() == b""


def test_the_absolute_form_finds_the_application(wire: socket.socket, answers: BinaryIO) -> None:
    wire.sendall(request("http://there/a", b"x") + request("http://there/messageflow/health", method="GET"))
    assert answer(answers) == (200, b"POST /a x")
    assert answer(answers) == (200, b"ok\n")


@pytest.mark.parametrize(
    "bad",
    [
        b"POST /a HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: here\r\nX: y\r\n folded\r\n\r\n",
        b"POST /a HTTP/1.1\nHost: here\n\n",
        b"POST /a HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_behind_any_other(wire: socket.socket, answers: BinaryIO, bad: bytes) -> None:
    wire.sendall(request("/a", b"x") + call(1) + bad + HEALTH)
    assert answer(answers) == (200, b"POST /a x")
    assert answer(answers)[0] == 200
    assert answer(answers)[0] == 400
    assert answers.read() == b""


def handshake(path: str) -> bytes:
    return "\r\n".join(
        (f"GET {path} HTTP/1.1", "Host: here", *(f"{k}: {v}" for k, v in UPGRADE.items()), "", "")
    ).encode()


def frame(text: str) -> bytes:
    """Return a masked text frame; the mask is zero."""
    return b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text.encode()


def received(file: BinaryIO) -> tuple[int, bytes]:
    head, size = file.read(2)
    return head & 15, file.read(size if size < 126 else struct.unpack("!H", file.read(2))[0])


@pytest.mark.parametrize("before", [b"", request("/a", b"x"), call(1), HEALTH, request("/slow", b"x")])
def test_a_websocket_of_the_gateway_may_follow_anything_on_its_connection(
    wire: socket.socket, answers: BinaryIO, before: bytes
) -> None:
    wire.sendall(before + handshake("/connection/websocket") + frame('{"id":1,"connect":{}}'))
    if before:
        assert answer(answers)[0] == 200
    assert answer(answers)[0] == 101
    assert received(answers)[0] == 8  # it has sent no token


@pytest.mark.parametrize("before", [b"", request("/a", b"x"), call(1), request("/slow", b"x")])
def test_a_websocket_of_the_application_may_follow_anything_too(
    wire: socket.socket, answers: BinaryIO, before: bytes
) -> None:
    wire.sendall(before + handshake("/chat") + frame("hello"))
    if before:
        assert answer(answers)[0] == 200
    assert answer(answers)[0] == 101
    assert received(answers) == (1, b"hello of []")
    assert received(answers)[0] == 8


def test_a_handshake_that_is_refused_does_not_keep_its_connection(wire: socket.socket, answers: BinaryIO) -> None:
    wire.sendall(handshake("/connection/websocket").replace(b"Version: 13", b"Version: 12") + HEALTH)
    assert answer(answers)[0] == 400
    assert answers.read() == b""


def test_a_client_that_leaves_is_told_to_the_application(gateway: Running) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as leaving, leaving.makefile("rb") as file:
        leaving.sendall(call(1) + request("/left", b"x" * 100)[:-50])
        assert answer(file)[0] == 200
    for _ in range(1000):
        if get(gateway.port, "/gone") == (200, "1"):
            return
        time.sleep(0.01)
    raise AssertionError("it was not told")


@pytest.mark.parametrize(
    "trailer", ["Connection: close", "Upgrade: h2c\r\nConnection: upgrade", "Content-Length: 5", "A: b"]
)
@pytest.mark.parametrize("path", ["/a", "/early"])
def test_nothing_in_chunks_or_behind_them_decides_what_comes_next(
    wire: socket.socket, answers: BinaryIO, path: str, trailer: str
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = f'2;x="a;b"\r\nbo\r\n002\r\ndy\r\n0\r\n{trailer}\r\n\r\n'
    wire.sendall((head + body).encode() + request("/b", b"next"))
    assert answer(answers) == (200, b"early" if path == "/early" else b"POST /a body")
    assert answer(answers) == (200, b"POST /b next")


def test_a_handshake_with_a_body_is_an_ordinary_request(wire: socket.socket, answers: BinaryIO) -> None:
    upgrade = (f"{name}: {value}" for name, value in UPGRADE.items())
    wire.sendall(request("/a", b"body", *upgrade, method="GET"))
    assert answer(answers) == (200, b"GET /a body")
