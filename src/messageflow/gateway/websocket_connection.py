"""A browser's WebSocket and its session, joined: messages become commands, decisions become close frames."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from websockets.frames import CloseCode

from messageflow.core.codes import CONNECTION_LIMIT, Disconnect
from messageflow.core.handshake_headers import NO_HEADERS
from messageflow.gateway import tcp_options
from messageflow.gateway.websocket_compression import CompressedTransport, InflatingProtocol
from messageflow.gateway.websocket_frames import READ, WEBSOCKET
from messageflow.gateway.websocket_limits import WebSocketLimits
from messageflow.gateway.websocket_protocol import WebSocketProtocol
from messageflow.hub.connection import Connection
from messageflow.hub.hub import Hub
from messageflow.hub.session import Session


class WebSocketConnection(WebSocketProtocol):
    """A `hub.connection.Connection` over a WebSocket.

    Args:
        hub: where the session belongs.
        limits: what the peer may send.
        address: the peer's address, for caps and logs.
        leaving: where a connection enters itself from the moment it is told to end until it is gone.

    Attributes:
        headers: of its handshake, those that the application sees.
    """

    __slots__ = ("_hub", "_leaving", "_session", "address", "write")

    kind = WEBSOCKET
    way_back = None
    headers: Mapping[str, str] = NO_HEADERS

    def __init__(self, hub: Hub, limits: WebSocketLimits, address: str, leaving: set[Connection]) -> None:
        WebSocketProtocol.__init__(self, limits)  # here and below by its name: half of what `super` takes
        self._hub = hub
        self._leaving = leaving
        self._session: Session | None = None
        self.address = address
        self.write: Callable[[bytes], None]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        WebSocketProtocol.connection_made(self, transport)
        self.write = transport.write

    def begin(self, session: Session | None) -> None:
        """Serve this session from now on; None: there is no room for one. The handshake is answered."""
        self._session = session
        if session is None:
            self.close(CONNECTION_LIMIT)

    # What comes

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self._session.heard = True
        WebSocketProtocol.data_received(self, data)

    def on_text(self, message: bytes) -> None:
        session = self._session
        if session is None:
            return
        if not session.encoder.dialect.is_text:
            self.fail(CloseCode.UNSUPPORTED_DATA, "a text message; this dialect is binary")
            return
        if not message.isascii():
            message.decode()  # raises what ends a connection with 1007
        session.receive(message)

    def on_binary(self, message: bytes) -> None:
        session = self._session
        if session is not None and not session.encoder.dialect.is_text:
            session.receive(message)
        else:
            self.fail(CloseCode.UNSUPPORTED_DATA, "a binary message; this dialect is text")

    def on_pong(self, data: bytes) -> None:
        if data == READ and self._session is not None:
            self._hub.note_read(self._session)

    def on_failure(self, code: int, reason: str) -> None:
        client = self._session.client if self._session is not None else ""
        self._hub.log_limited(logging.WARNING, "protocol_error", client=client, code=code, reason=reason)
        self._leaving.add(self)
        self._end()

    def on_goodbye(self) -> None:
        self._leaving.add(self)
        self._end()

    def on_lost(self) -> None:
        self._leaving.discard(self)
        self._end()

    def _end(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.lost()

    # What the session says

    def close(self, disconnect: Disconnect) -> None:
        self._session = None
        self._leaving.add(self)
        self.send_close(disconnect.code, disconnect.reason)

    def abort(self) -> None:
        self.transport.abort()

    @property
    def buffered(self) -> int:
        return self.transport.get_write_buffer_size()

    @property
    def peer_is_gone(self) -> bool:
        return tcp_options.peer_is_gone(self.transport)

    def takes_slowly(self, seconds: float) -> bool:
        return tcp_options.takes_slowly(self.transport, seconds)

    def be_patient(self, patient: bool) -> None:
        tcp_options.be_patient(self.transport, patient)

    def pause_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    # What the transport says of its buffer

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.pause()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.resume()


class WebSocketWithHeaders(WebSocketConnection):
    """One whose headers an application sees; there, and nowhere else, a connection has room for them."""

    __slots__ = ("headers",)

    def __init__(
        self,
        hub: Hub,
        limits: WebSocketLimits,
        address: str,
        leaving: set[Connection],
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(hub, limits, address, leaving)
        self.headers = headers


class CompressedWebSocket(InflatingProtocol, WebSocketWithHeaders):
    """One whose client takes compressed messages, and may send some."""

    __slots__ = ("_inflater", "kind")

    def __init__(
        self,
        hub: Hub,
        limits: WebSocketLimits,
        address: str,
        leaving: set[Connection],
        headers: Mapping[str, str],
        kind: CompressedTransport,
    ) -> None:
        WebSocketWithHeaders.__init__(self, hub, limits, address, leaving, headers)
        self.kind = kind
        self._inflater = None
