"""A port in memory, with endpoints that do as they are told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from messageflow.gateway.front_door.endpoint import EndpointConnection
from messageflow.gateway.front_door.front_door import FrontDoor
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.http_connection import HttpConnection
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.front_door.routes import Routes


class Wire(asyncio.Transport):
    """The socket of a connection, and what became of it.

    Attributes:
        room: bytes beyond which the peer takes less than is written.
    """

    room = 1 << 62

    def __init__(self, door: FrontDoor, *, half_closes: bool = True) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.aborted = self.ended = self.paused = False
        self.protocol: asyncio.BaseProtocol = HttpConnection(door)
        self._half_closes = half_closes
        assert isinstance(self.protocol, HttpConnection)
        self.connection = self.protocol
        self.connection.connection_made(self)

    def receive(self, data: bytes) -> bytes:
        """Let bytes come; return what is written upon them."""
        before = len(self.written)
        assert isinstance(self.protocol, asyncio.Protocol)
        self.protocol.data_received(data)
        return self.written[before:]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "written after the end"
        assert not self.ended, "written after the end"
        self.written += bytes(data)
        if len(self.written) > self.room and not self.connection.write_paused:
            self.connection.pause_writing()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def can_write_eof(self) -> bool:
        return self._half_closes

    def write_eof(self) -> None:
        self.ended = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 1234) if name == "peername" else default


class Echo:
    """Answers at once, before the body, with the method."""

    def begin(self, connection: EndpointConnection, head: Head) -> None:
        connection.answer(HttpResponse(200, body=head.method))


class Later:
    """Answers when it is told to: with the body, its length as the method has it."""

    def __init__(self) -> None:
        self.begun: list[Waiting] = []

    def begin(self, connection: EndpointConnection, head: Head) -> Waiting:
        self.begun.append(Waiting(connection))
        return self.begun[-1]


class Waiting:
    """A request that waits to be answered."""

    has_begun = False

    def __init__(self, connection: EndpointConnection) -> None:
        self.connection = connection
        self.content = b""
        self.has_ended = self.is_lost = False

    def receive(self, content: bytes) -> None:
        self.content += content

    def end(self) -> None:
        assert not self.has_ended
        self.has_ended = True

    def lost(self, exc: Exception | None) -> None:
        assert not self.is_lost
        self.is_lost = True

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass

    def answer(self) -> None:
        self.connection.answer(HttpResponse(200, body=self.content or b"nothing"))


class Port:
    """A port with `/echo`, `/later` and nothing else.

    Attributes:
        slow: how many heads took too long.
    """

    def __init__(self, limits: HttpLimits) -> None:
        self.later = Later()
        self.slow = 0
        self.door = FrontDoor(Routes({b"/later": self.later}, {}, Echo()), limits, self._count)

    def _count(self, *, handshake: bool) -> None:
        assert not handshake
        self.slow += 1

    def connect(self, *, half_closes: bool = True) -> Wire:
        return Wire(self.door, half_closes=half_closes)


@pytest.fixture
def limits() -> HttpLimits:
    return HttpLimits()


@pytest.fixture
async def port(limits: HttpLimits) -> Port:
    return Port(limits)
