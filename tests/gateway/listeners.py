"""A listener over each transport and dialect, who all hear the same: what a test of all of them asks of one."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections import deque
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tests.dialects import official_protobuf as protobuf
from tests.support import Running

SECONDS = 30.0
SMALL = 65_536  # bytes that the kernel takes for a listener who does not read


class Refused(Exception):
    """An HTTP status with which nothing was opened."""


class Ended(Exception):
    """A connection or stream has ended; its argument is the code that said why, 0 where none did."""


def open_link(gateway: Running) -> socket.socket:
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    link.settimeout(SECONDS)
    link.connect(("127.0.0.1", gateway.port))
    return link


class Listener:
    """One who listens with a token.

    Args:
        gateway: where.
        token: whose.
    """

    def __init__(self, gateway: Running, token: str) -> None:
        self.gateway = gateway
        self.token = token
        self.link = open_link(gateway)
        self._actions: deque[Any] = deque()
        try:
            self.enter()
        except BaseException:
            self.abort()
            raise

    def enter(self) -> None:
        """Return when the token is believed."""
        raise NotImplementedError

    def read(self) -> Any:
        """Return what a message says, None for nothing; raise Ended."""
        raise NotImplementedError

    def hear(self) -> tuple[str, Any]:
        """Return type and payload of the next push."""
        while not self._actions:
            self._actions += self._find_actions(self.read())
        action = self._actions.popleft()
        return action["type"], action["payload"]

    def _find_actions(self, said: Any) -> list[Any]:
        push = said.get("push", said) if said else {}
        if "disconnect" in push:
            raise Ended(push["disconnect"]["code"])
        return [push["pub"]["data"]] if "pub" in push else []

    def end(self) -> int:
        """Read to the end; return the code."""
        try:
            while True:
                self.hear()
        except Ended as ended:
            return int(ended.args[0])

    def abort(self) -> None:
        """Go without a word, as a browser that is killed."""
        with suppress(OSError):  # it has been closed
            self.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.link.close()


class WebSocketListener(Listener):
    """One who says `connect` over a WebSocket, in JSON."""

    path = "/connection/websocket"
    subprotocol = ""

    def enter(self) -> None:
        spoken = [Subprotocol(self.subprotocol)] if self.subprotocol else None
        address = parse_uri(f"ws://127.0.0.1:{self.gateway.port}{self.path}")
        self.wire = ClientProtocol(address, subprotocols=spoken, max_size=None)
        self.waiting: deque[Any] = deque()
        opening = self.wire.connect()
        opening.headers.update(self.headers())
        self.wire.send_request(opening)
        self.write()
        while self.wire.state is State.CONNECTING:
            self.receive()
        self.greet()

    def headers(self) -> dict[str, str]:
        """Return what the handshake says besides."""
        return {}

    def greet(self) -> None:
        """Say who comes, and hear that they are let in."""
        self.say({"id": 1, "connect": {"token": self.token}})
        assert self.read()["connect"]["client"]

    def say(self, command: Any) -> None:
        self.send(json.dumps(command))

    def parse(self, message: bytes) -> list[Any]:
        return [json.loads(line) for line in message.split(b"\n") if line]

    def send(self, text: str) -> None:
        self.wire.send_text(text.encode())
        self.write()

    def write(self) -> None:
        with suppress(OSError):
            self.link.sendall(b"".join(self.wire.data_to_send()))

    def read(self) -> Any:
        while not self.waiting:
            self.receive()
        said = self.waiting.popleft()
        if not said:
            self.pong()
        return said

    def receive(self) -> None:
        data = self.link.recv(1 << 16)
        if not data:
            raise Ended(self.wire.close_rcvd.code if self.wire.close_rcvd else 0)
        self.wire.receive_data(data)
        for event in self.wire.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                self.waiting += self.parse(bytes(event.data))
        self.write()

    def pong(self) -> None:
        self.say({})


class ProtobufListener(WebSocketListener):
    """The same in Protobuf."""

    subprotocol = "centrifuge-protobuf"

    def say(self, command: Any) -> None:
        self.wire.send_binary(protobuf.write([command]))
        self.write()

    def parse(self, message: bytes) -> list[Any]:
        return [protobuf.to_json(each) for each in protobuf.read_messages(message)]


class OneWayWebSocket(WebSocketListener):
    """One whose request says who comes."""

    path = "/connection/uni_websocket"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def greet(self) -> None:
        assert self.read()["connect"]["client"]

    def pong(self) -> None:
        pass


class Classic(WebSocketListener):
    """A page of cesium_web."""

    path = "/websocket"

    def greet(self) -> None:
        assert self.read() == {"action": "AUTH REQUEST"}
        self.send(self.token)
        answer = self.read()
        if answer != {"action": "AUTH OK"}:
            raise Refused(answer)

    def parse(self, message: bytes) -> list[Any]:
        return [] if message == b"<3" else [json.loads(message)]

    def _find_actions(self, said: Any) -> list[Any]:
        if said["action"].startswith("AUTH"):
            return []
        return [{"type": said["action"], "payload": said["payload"]}]


class StreamListener(Listener):
    """One who reads an answer that does not end, line by line."""

    path = ""
    prefix = b""

    def ask(self) -> tuple[str, str, bytes, dict[str, str]]:
        """Return method, target, body and headers."""
        return "GET", self.path, b"", {"Authorization": f"Bearer {self.token}"}

    def enter(self) -> None:
        method, target, body, headers = self.ask()
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.link.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        self.answer = http.client.HTTPResponse(self.link)
        self.answer.begin()
        if self.answer.status != 200:
            raise Refused(self.answer.status)
        said = self.read()
        self._find_actions(said)  # which raises what it is refused for
        self.connected = said["connect"]

    def read(self) -> Any:
        while True:
            try:
                line = self.answer.readline()
            except (http.client.HTTPException, ConnectionError):
                line = b""
            if not line:
                raise Ended(0)
            if line.strip() and line.startswith(self.prefix):
                return json.loads(line.removeprefix(self.prefix))

    def abort(self) -> None:
        self.answer.close()
        super().abort()


class OneWayLines(StreamListener):
    """A script."""

    path = "/connection/uni_http_stream"


class EventSource(StreamListener):
    """A page with nothing but an EventSource."""

    path = "/connection/uni_sse"

    def read(self) -> Any:
        name = "pub"
        while True:
            try:
                line = self.answer.readline().decode().rstrip("\n")
            except (http.client.HTTPException, ConnectionError):
                line = None
            if line is None or self.answer.isclosed():
                raise Ended(0)
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
                return {name: {"data": data, "client": "told to nobody"} if name in ("pub", "connect") else data}


class EmulatedLines(StreamListener):
    """A client without a WebSocket, who answers pings by requests."""

    path = "/connection/http_stream"

    def read(self) -> Any:
        said = super().read()
        if not said:
            link = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=SECONDS)
            way_back = {"session": self.connected["session"], "node": self.connected["node"], "data": "{}"}
            link.request("POST", "/connection/emulation", json.dumps(way_back))
            assert link.getresponse().status == 204
            link.close()
        return said

    def ask(self) -> tuple[str, str, bytes, dict[str, str]]:
        return "POST", self.path, json.dumps({"id": 1, "connect": {"token": self.token}}).encode(), {}


class EmulatedEvents(EmulatedLines):
    """One that has an EventSource instead."""

    path = "/connection/sse"
    prefix = b"data: "

    def ask(self) -> tuple[str, str, bytes, dict[str, str]]:
        command = quote(json.dumps({"id": 1, "connect": {"token": self.token}}))
        return "GET", f"{self.path}?cf_connect={command}", b"", {}


class Carried(NamedTuple):
    """What `info` calls the sessions of a listener."""

    transport: str
    dialect: str


LISTENERS: dict[type[Listener], Carried] = {
    WebSocketListener: Carried("websocket", "native"),
    ProtobufListener: Carried("websocket", "protobuf"),
    OneWayWebSocket: Carried("websocket", "unidirectional"),
    EventSource: Carried("sse", "event_source"),
    OneWayLines: Carried("http_stream", "unidirectional"),
    EmulatedEvents: Carried("sse", "native"),
    EmulatedLines: Carried("http_stream", "native"),
    Classic: Carried("websocket", "classic"),
}
