"""What a hostile or broken client sends meets the right code, and nobody else notices.

Raw sockets: no client library would send these bytes.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import psutil
import pytest

from messageflow import Flow
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import patience

CONFIG = """
connect_timeout = "1s"
handshake_timeout = "1s"
unauthenticated_per_address = 1000
allowed_origins = ["https://app.example.com"]
[[channel.namespaces]]
name = "open"
allow_subscribe_for_client = true

[[channel.namespaces]]
name = "told"
allow_history_for_client = true
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "messageflow.toml").write_text(CONFIG)
    with running(["serve", "--config", str(directory / "messageflow.toml")], directory) as started:
        yield started
        assert started.terminate() == 0
        log = "".join(started.lines)
        assert "Traceback" not in log
        assert TOKEN_SECRET not in log
        assert API_KEY not in log


def token(user: str = "alice", seconds: float = 600, **claims: Any) -> str:
    return jwt.encode({"sub": user, "exp": time.time() + seconds, **claims}, TOKEN_SECRET, "HS256")


class Client:
    """A WebSocket client that sends what it is told, right or wrong."""

    def __init__(self, gateway: Running, *, headers: str = "", path: str = "/connection/websocket") -> None:
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), timeout=patience(10))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n".encode()
        )
        self._file = self.socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        while self._file.readline() not in (b"\r\n", b""):
            pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def frame(self, payload: bytes, *, head: int = 0x81, masked: bool = True) -> None:
        """Send one frame; `head` is its first byte."""
        size = len(payload)
        bit = 0x80 if masked else 0
        length = bytes([bit | size]) if size < 126 else bytes([bit | 127]) + struct.pack("!Q", size)
        key = b"\x01\x02\x03\x04"
        body = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload)) if masked else payload
        self.socket.sendall(bytes([head]) + length + (key if masked else b"") + body)

    def say(self, *commands: Any) -> None:
        self.frame("\n".join(json.dumps(command) for command in commands).encode())

    def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame."""
        head = self._file.read(2)
        if len(head) < 2:
            return 8, b""
        size = head[1]
        if size == 126:
            size = struct.unpack("!H", self._file.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self._file.read(8))[0]
        return head[0] & 15, self._file.read(size)

    def close_code(self) -> int:
        """Read until the close frame; return its code."""
        while True:
            opcode, payload = self.receive()
            if opcode == 8:
                return struct.unpack("!H", payload[:2])[0] if payload else 0

    def connect(self, **connect: Any) -> dict[str, Any]:
        self.say({"id": 1, "connect": {"token": token(), **connect}})
        answer: dict[str, Any] = json.loads(self.receive()[1])
        return answer


@pytest.fixture
def bystander(gateway: Running) -> Iterator[None]:
    """A client who must hear everything whatever happens beside him."""
    with Client(gateway) as client:
        client.connect(token=token("bystander"))
        yield
        with Flow(gateway.url, api_key=API_KEY) as flow:
            flow.push("bystander", "still", "here")
        while True:
            opcode, payload = client.receive()
            assert opcode == 1, "the bystander was cut off"
            if b"still" in payload:
                return


def deep(levels: int) -> bytes:
    return b'{"id":1,"connect":{"data":' + b"[" * levels + b"]" * levels + b"}}"


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(b"x", 0x83, True)], 1002),
        ([(b"{}", 0x81, False)], 1002),
        ([(b"{}", 0xC1, True)], 1002),
        ([(b"x", 0x80, True)], 1002),
        ([(b"{", 0x01, True), (b"x", 0x81, True)], 1002),
        ([(b"\xff\xfe", 0x81, True)], 1007),
        ([(b"x" * 140_000, 0x81, True)], 1009),
        ([(b"{", 0x01, True), *[(b" ", 0x00, True)] * 70], 1009),
        ([(b"", 0x01, True), *[(b"", 0x00, True)] * 70], 1009),
        ([(b"x" * 80_000, 0x01, True), (b"x" * 80_000, 0x00, True)], 1009),
        ([(b"\x00", 0x82, True)], 1003),
        ([(b"not json", 0x81, True)], 3501),
        ([(b"", 0x81, True)], 3501),
        ([(deep(40), 0x81, True)], 3501),
        ([(deep(20_000), 0x81, True)], 3501),
        ([(b'{"id":1,"id":2,"connect":{}}', 0x81, True)], 3501),
        ([(b'{"id":1,"connect":{"data":NaN}}', 0x81, True)], 3501),
        ([(b'{"id":-1,"connect":{}}', 0x81, True)], 3501),
        ([(b'{"id":1,"bogus":{}}', 0x81, True)], 3501),
        ([(b'{"id":1,"publish":{"channel":"open:x","data":1}}', 0x81, True)], 3501),
    ],
    ids=[
        "reserved opcode",
        "not masked",
        "a reserved bit",
        "a continuation of nothing",
        "a message within a message",
        "not UTF-8",
        "a large frame",
        "many fragments",
        "many empty fragments",
        "a large message in fragments",
        "binary",
        "not JSON",
        "nothing",
        "nested deep",
        "a JSON bomb",
        "a key twice",
        "NaN",
        "a negative id",
        "an unknown command",
        "a command before connect",
    ],
)
def test_a_bad_frame_ends_its_connection_with_its_code(
    gateway: Running, frames: list[tuple[bytes, int, bool]], code: int
) -> None:
    with Client(gateway) as client:
        try:
            for payload, head, masked in frames:
                client.frame(payload, head=head, masked=masked)
        except ConnectionError:
            pass  # it was cut off before we had sent it all
        assert client.close_code() == code


@pytest.mark.parametrize(
    "bad",
    [
        "nonsense",
        "a.b.c",
        jwt.encode({"sub": "alice", "exp": 9e9}, "another secret of thirty-two bytes!", "HS256"),
        jwt.encode({"sub": "alice", "exp": 9e9}, "", "none"),
        jwt.encode({"sub": "alice"}, TOKEN_SECRET, "HS256"),
        jwt.encode({"sub": "*", "exp": int(time.time()) + 60}, TOKEN_SECRET, "HS256"),
        jwt.encode({"exp": int(time.time()) + 60}, TOKEN_SECRET, "HS256"),
    ],
    ids=["nonsense", "three parts", "another key", "not signed", "without expiry", "for everybody", "for nobody"],
)
def test_a_bad_token_is_final(gateway: Running, bad: str) -> None:
    with Client(gateway) as client:
        client.say({"id": 1, "connect": {"token": bad}})
        assert client.close_code() == 3500


def test_an_expired_token_is_an_error_the_client_can_mend(gateway: Running) -> None:
    with Client(gateway) as client:
        assert client.connect(token=token(seconds=-5))["error"]["code"] == 109


def test_silence_after_the_handshake_is_stale(gateway: Running) -> None:
    with Client(gateway) as client:
        assert client.close_code() == 3502


@pytest.mark.parametrize("head", [b"", b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nX: "], ids=["silent", "slow"])
def test_a_request_head_that_does_not_arrive_is_cut_off(gateway: Running, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
        client.sendall(head)
        began = time.monotonic()
        try:
            assert client.recv(1000) == b""
        except ConnectionResetError:
            pass
        assert time.monotonic() - began < 5


def test_a_request_head_without_end_is_refused(gateway: Running) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        endless = (b"X-Header: " + b"x" * 1000 + b"\r\n") * 1000
        with pytest.raises(ConnectionError):
            client.sendall(endless * 10)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example.com", 101),
        ("https://app.example.com.evil.example", 403),
        ("https://evil.example", 403),
        ("http://app.example.com", 403),
        ("null", 403),
    ],
)
def test_only_pages_of_the_list_may_connect(gateway: Running, origin: str, status: int) -> None:
    with Client(gateway, headers=f"Origin: {origin}\r\n") as client:
        assert client.status == status
        if status == 101:
            assert "client" in client.connect()["connect"]


def test_a_token_in_the_url_is_refused(gateway: Running) -> None:
    with Client(gateway, path="/connection/websocket?token=secret") as client:
        assert client.status == 400


@pytest.mark.parametrize(
    ("channel", "codes"),
    [
        ("open:x", [None, 103, 108]),  # presence is not kept there
        ("#bob", [103, 103, 103]),
        ("*", [105, 103, 108]),  # the server has subscribed them to it already
        ("$private", [103, 103, 108]),
        ("open:" + "x" * 251, [102, 102, 102]),
        ("open:\n", [102, 102, 102]),
        ("nowhere:x", [102, 102, 102]),
    ],
)
def test_what_is_not_opened_to_them_is_refused(gateway: Running, channel: str, codes: list[int | None]) -> None:
    answers = []
    with Client(gateway) as client:
        client.connect()
        for number, method in enumerate(("subscribe", "history", "presence"), 2):
            client.say({"id": number, method: {"channel": channel}})
            answers.append(json.loads(client.receive()[1]))
    assert [answer["id"] for answer in answers] == [2, 3, 4]
    assert [answer.get("error", {}).get("code") for answer in answers] == codes


@pytest.mark.usefixtures("bystander")
def test_a_client_that_floods_is_ended_and_logged_once(gateway: Running) -> None:
    with Client(gateway) as client:
        client.connect(token=token("flooder"))
        batch = [{"id": number, "presence_stats": {"channel": "open:x"}} for number in range(2, 102)]
        try:
            for _ in range(20):
                client.say(*batch)
        except ConnectionError:
            pass
        assert client.close_code() == 3013
    ended = [record for record in gateway.events("disconnected") if record["user"] == "flooder"]
    assert ended == []  # a code that invites back is not worth a line at the default level


def grown(gateway: Running, work: Callable[[], None]) -> int:
    """Return by how many bytes the gateway's memory grows."""
    process = psutil.Process(gateway.process.pid)
    before = int(process.memory_info().rss)
    work()
    return int(process.memory_info().rss) - before


@pytest.mark.usefixtures("bystander")
def test_a_client_that_never_reads_costs_bounded_memory(gateway: Running) -> None:
    """As much is pushed to somebody who is not there: that is kept once in the history, and so is this."""
    with Flow(gateway.url, api_key=API_KEY) as flow, Client(gateway) as client:
        client.connect(token=token("sleeper"))

        def push(user: str, count: int) -> None:
            for _ in range(count):
                flow.push(user, "large", "x" * 60_000)

        push("sleeper", 20)
        push("nobody", 20)
        absent = grown(gateway, lambda: push("nobody", 400))  # 24 MB
        there = grown(gateway, lambda: push("sleeper", 400))
        assert there < absent + (12 << 20)
        received = 0
        while received < 420:
            opcode, data = client.receive()
            assert opcode == 1
            received += data.count(b'"offset"')
    assert received == 420


@pytest.mark.usefixtures("bystander")
def test_a_client_that_asks_and_does_not_read_costs_bounded_memory(gateway: Running) -> None:
    with Flow(gateway.url, api_key=API_KEY) as flow, flow.batch() as batch:
        for _ in range(300):
            batch.publish("told:asked", "x" * 60_000)
    with Flow(gateway.url, api_key=API_KEY) as flow, Client(gateway) as client:
        client.connect(token=token("asker"))
        ask = [{"id": number, "history": {"channel": "told:asked", "limit": 300}} for number in range(2, 101)]

        def wait_until_others_are_served() -> None:
            client.say(*ask)
            for _ in range(20):
                flow.push("somebody", "t", 1)
                time.sleep(0.01)  # for the gateway to do as much of it as it is going to

        assert grown(gateway, wait_until_others_are_served) < 40 << 20  # 99 times 18 MB are asked for
        seen: list[int] = []
        while len(seen) < 99:
            opcode, data = client.receive()
            assert (opcode, len(data) < 400_000) == (1, True)
            seen += [json.loads(line)["id"] for line in data.splitlines() if b'"history"' in line[:40]]
        assert seen == list(range(2, 101))


@pytest.mark.usefixtures("bystander")
def test_a_message_of_very_many_commands_is_not_even_read(gateway: Running) -> None:
    with Client(gateway) as client:
        client.connect(token=token("many"))
        client.frame(b"{}\n" * 20_000)
        assert client.close_code() == 3013


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_a_page_waits_for_no_body(gateway: Running, path: str) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
