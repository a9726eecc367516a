"""The application beside the gateway, under `run`: what is not in the table goes to a stock server protocol.

That is uvicorn's as it is, made once for a connection that needs it and given the bytes of one request at a time, on a
transport that stands for the socket as long as HTTP is spoken. It answers itself; only when an answer has ended is
seen here, where the application sends it. Knows nothing of what is inside that protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.endpoint import EndpointConnection
from messageflow.gateway.front_door.head import CHUNKED, Head
from messageflow.gateway.front_door.http_connection import address
from messageflow.gateway.pages import NOT_OURS
from messageflow.gateway.proxies import Forwarded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

STATE = "messageflow.gateway"  # where in the state of a request its `Backstage` is, until `observe` takes it out


class ApplicationEndpoint:
    """A `front_door.endpoint.HttpEndpoint`. Nothing is served before `serve_with`.

    Args:
        admission: knows for which hosts, and what proxies say.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._config: Config
        self._server_state: ServerState
        self._app_state: dict[str, Any] = {}

    def serve_with(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        """Take what the server makes its protocols with."""
        self._config = config
        self._server_state = server_state
        self._app_state = app_state

    def begin(self, connection: EndpointConnection, head: Head) -> Backstage | None:
        """Give a request to the application."""
        admission, peer = self._admission, connection.peer
        came = admission.trace(peer[0], head.fields, secure=admission.tls)
        if not admission.answers_to(head.fields, came):
            connection.answer(NOT_OURS._replace(body=b"") if head.upgrade else NOT_OURS)
            return None
        backstage = connection.backstage
        if not isinstance(backstage, Backstage):
            backstage = connection.backstage = Backstage(connection)
            backstage.open(self._make)
        backstage.came = came if admission.proxies.trust(peer[0]) else None
        return backstage if backstage.begin(head) else None

    def _make(self, state: dict[str, Any]) -> asyncio.Protocol:
        return AutoHTTPProtocol(
            config=self._config,  # type: ignore[call-arg]  # uvicorn gives it no narrower type than a protocol
            server_state=self._server_state,
            app_state=self._app_state | state,
        )


class Backstage:
    """The stock protocol of one connection: a `front_door.endpoint.Exchange` for each of its requests.

    Args:
        connection: whose requests these are.

    Attributes:
        came: where the request came from as a trusted proxy says; None where there is none.
        has_begun: whether the application has begun to answer.
    """

    def __init__(self, connection: EndpointConnection) -> None:
        self.came: Forwarded | None = None
        self.has_begun = False
        self._connection = connection
        self._stock: asyncio.Protocol
        self._is_answering = False
        self._is_answered = False  # and the body goes on
        self._is_chunked = False

    def open(self, make: Callable[[dict[str, Any]], asyncio.Protocol]) -> None:
        """Make the stock protocol."""
        self._stock = make({STATE: self})
        self._stock.connection_made(StageTransport(self, self._connection))
        if self._connection.write_paused:
            self._stock.pause_writing()

    def begin(self, head: Head) -> bool:
        """Begin a request. Returns False when it is answered already, or the transport is another's."""
        self.has_begun = self._is_answered = False
        self._is_answering = True
        self._is_chunked = head.length == CHUNKED
        if not head.upgrade or (head.upgrade == b"websocket" and not head.length):
            self._stock.data_received(head.raw)
        else:  # it is answered as if it had offered none, RFC 9110 §7.8; its body is still to come
            self._stock.data_received(_without_upgrade(head))
        return self._is_answering

    # What the connection says

    def receive(self, content: bytes) -> None:
        """Take some of the body.

        Chunks are written anew: without extensions, with no say for another parser in where the body ends.
        """
        if not self._is_chunked:
            self._stock.data_received(content)
        elif content:
            self._stock.data_received(b"%x\r\n%b\r\n" % (len(content), content))

    def end(self) -> None:
        """The request is whole. Trailers are left out: in one, `Connection: close` makes the stock protocol deaf."""
        if self._is_chunked:
            self._stock.data_received(b"0\r\n\r\n")
        if self._is_answered:
            self._finish()

    def lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._is_answering = False
        self._stock.connection_lost(exc)
        del self._stock  # which holds the transport, which holds this: freed at once, without the collector

    def pause_writing(self) -> None:
        """The peer takes less than is written."""
        self._stock.pause_writing()

    def resume_writing(self) -> None:
        """The peer has taken nearly all of it."""
        self._stock.resume_writing()

    # What the application and the stock protocol say

    def answered(self) -> None:
        """The application has sent the end of its answer."""
        if not self._is_answering:
            return
        self._is_answered = True
        if not self._connection.body_is_due:
            self._finish()

    def _finish(self) -> None:
        self._is_answering = False
        self._connection.finish()

    def closed(self) -> None:
        """The stock protocol has closed its transport: after an answer that ends the connection, or for idleness."""
        if self._is_answering:
            self._is_answering = False
            self._connection.close()
        elif self._connection.backstage is self:
            self._connection.backstage = None
            asyncio.get_running_loop().call_soon(self._stock.connection_lost, None)

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """The stock protocol has made a WebSocket of the connection."""
        self._is_answering = False
        self._connection.backstage = None
        self._connection.hand_over(protocol)


class StageTransport(asyncio.Transport):
    """The socket, as the stock protocol sees it while it is one of several that speak on it; all of it after that.

    Args:
        backstage: is told of what concerns the connection.
        connection: that it is of.
    """

    def __init__(self, backstage: Backstage, connection: EndpointConnection) -> None:
        super().__init__()
        self._backstage = backstage
        self._connection = connection
        self._transport = connection.transport
        self._is_closed = False
        self._is_all = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "socket":  # one made to ask for addresses stays with the connection: 320 bytes and 15 µs each
            return default
        if name in ("peername", "sockname"):
            return address(self._transport, name)
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        if self._is_all:
            return self._transport.is_closing()
        return self._is_closed or self._connection.is_over or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_all or not (self._is_closed or self._connection.is_over):
            self._transport.write(data)

    def close(self) -> None:
        if self._is_all:
            self._transport.close()
        elif not self._is_closed:
            self._is_closed = True
            self._backstage.closed()

    def abort(self) -> None:
        self._transport.abort()

    def pause_reading(self) -> None:
        if self._is_all:
            self._transport.pause_reading()
        else:
            self._connection.hold(True)

    def resume_reading(self) -> None:
        if self._is_all:
            self._transport.resume_reading()
        else:
            self._connection.hold(False)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._is_all = True
        self._backstage.hand_over(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)


def observe(application: ASGIApp) -> ASGIApp:
    """Return an application of which the gateway sees when an answer ends, and which sees what trusted proxies say."""

    async def observed(scope: Scope, receive: Receive, send: Send) -> None:
        backstage: Backstage | None = scope.get("state", {}).pop(STATE, None)
        if backstage is None:
            await application(scope, receive, send)
            return
        if backstage.came is not None:
            scope["client"] = (backstage.came.address, 0)
            scope["scheme"] = ("ws" if scope["type"] == "websocket" else "http") + "s" * backstage.came.secure

        async def send_on(message: MutableMapping[str, Any]) -> None:
            backstage.has_begun = True
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                backstage.answered()

        await application(scope, receive, send if scope["type"] == "websocket" else send_on)

    return observed


def _without_upgrade(head: Head) -> bytes:
    lines = [b"%b %b HTTP/%b" % (head.method, head.target, head.version.encode())]
    for name, value in head.headers:
        if name == b"connection":
            value = b"keep-alive" if head.keep_alive else b"close"
        if name != b"upgrade":
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join(lines) + b"\r\n\r\n"
