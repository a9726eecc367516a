"""A real HTTP server on a real socket that answers as a test tells it to.

One thread a connection. Each request takes the next step of the script; when the script is at its end, requests are
answered with a receipt. Everything asked is kept in `requests`, with the number of the connection it came on.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

RECEIPT = {"channel": "#alice", "offset": 7, "epoch": "xyz", "tag": "ab12", "ack": "memory"}


class Request(NamedTuple):
    """One request as it arrived."""

    connection: int
    target: str
    headers: dict[str, str]
    body: Any


Step = Callable[[socket.socket], bool]
"""Answers one request; tells whether the connection goes on."""


def say(status: int, body: bytes, *, keep: bool = True, kind: str = "application/json") -> Step:
    """Answer with a complete response."""
    end = "" if keep else "Connection: close\r\n"
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\n{end}Content-Length: {len(body)}\r\n\r\n"

    def step(connection: socket.socket) -> bool:
        connection.sendall(head.encode() + body)
        return keep

    return step


def result(value: object, *, keep: bool = True) -> Step:
    """Answer with a result of the API."""
    return say(200, msgspec.json.encode({"result": value}), keep=keep)


def receipts_for(request: Request) -> Step:
    """Answer with a receipt, or one for each call of a batch."""
    if not request.target.endswith("/batch"):
        return result(RECEIPT)
    replies = [{name: RECEIPT} for command in request.body["commands"] for name in command]
    return say(200, msgspec.json.encode({"replies": replies}))


def error(code: int, message: str, status: int = 200) -> Step:
    """Answer with an error of the API."""
    return say(status, msgspec.json.encode({"error": {"code": code, "message": message}}))


def raw(data: bytes) -> Step:
    """Answer with these bytes and close."""

    def step(connection: socket.socket) -> bool:
        connection.sendall(data)
        return False

    return step


def hang_up(_connection: socket.socket) -> bool:
    """Close without an answer."""
    return False


def reset(connection: socket.socket) -> bool:
    """Break the connection without an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


class Silence:
    """Takes a request and says nothing until `release`d; `heard` tells that the request has come."""

    def __init__(self, then: Step = hang_up) -> None:
        self.heard = threading.Event()
        self.released = threading.Event()
        self._then = then

    def __call__(self, connection: socket.socket) -> bool:
        self.heard.set()
        self.released.wait(30)
        try:
            return self._then(connection)
        except OSError:  # the client has gone, which is what these tests are about
            return False


class ScriptedServer:
    """Answers on a free port of this machine until the `with` block ends."""

    def __init__(self, *script: Step, tls: ssl.SSLContext | None = None) -> None:
        self.script = deque(script)
        self.requests: list[Request] = []
        self.connections = 0
        self.refuse_over = 2**40  # bytes of a body that is refused with 413 before it is read
        self._silences: list[Silence] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            silences = list(self._silences)
        for silence in silences:
            silence.released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def cut(self) -> None:
        """Close every connection, as a gateway that restarts does, and wait until that is done."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def open(self) -> int:
        """How many connections nobody has closed."""
        with self._lock:
            return len(self._open)

    @property
    def payloads(self) -> list[Any]:
        """The payloads of pushes in batches, in the order in which they came."""
        batches = [request.body["commands"] for request in self.requests if request.target.endswith("/batch")]
        return [command["push"]["payload"] for commands in batches for command in commands]

    @property
    def keys(self) -> list[str]:
        """The idempotency keys that came, in order."""
        return [request.body["idempotency_key"] for request in self.requests]

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self.connections += 1
                number = self.connections
            self._start(lambda connection=connection, number=number: self._serve(connection, number))  # type: ignore[misc]

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while (request := _read(connection, stream, number, self.refuse_over)) is not None:
                    with self._lock:
                        self.requests.append(request)
                        step = self.script.popleft() if self.script else receipts_for(request)
                        if isinstance(step, Silence):
                            self._silences.append(step)
                    if not step(connection):
                        return
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)


def _read(connection: socket.socket, stream: Any, number: int, refuse_over: int) -> Request | None:
    line = stream.readline().decode()
    if not line:
        return None
    headers: dict[str, str] = {}
    while text := stream.readline().decode().strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers["content-length"])
    if length > refuse_over:
        error(107, f"limit is {refuse_over} bytes", 413)(connection)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):  # as servers do, lest a reset overtake the answer
            pass
        return None
    body = stream.read(length)
    return Request(number, line.split()[1], headers, msgspec.json.decode(body))
