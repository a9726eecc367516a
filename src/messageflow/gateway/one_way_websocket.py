"""WebSockets for clients that only listen: bare JSON, one object a message, for scripts.

Who connects is said by the request, with a ticket or a header, or else by the first message; whatever they say after
that is not looked at. Who is not let in is told by the code and reason of the close frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from messageflow.core.codes import (
    FORBIDDEN,
    INVALID_TOKEN,
    MALFORMED,
    SERVER_ERROR,
    TOKEN_EXPIRED,
    TOO_MANY_COMMANDS,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    Disconnect,
    ErrorCode,
)
from messageflow.dialects.unidirectional import UNIDIRECTIONAL
from messageflow.gateway.cross_origin_endpoint import parse_query
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.http_stream_endpoint import Opening
from messageflow.gateway.one_way_opener import OneWayOpener
from messageflow.gateway.pages import Page
from messageflow.gateway.proxies import Forwarded
from messageflow.gateway.websocket_connection import WebSocketWithHeaders
from messageflow.gateway.websocket_endpoint import WebSocketEndpoint
from messageflow.gateway.websocket_frames import ONE_WAY_WEBSOCKET, payload_of
from messageflow.gateway.websocket_limits import WebSocketLimits
from messageflow.hub.connection import Connection
from messageflow.hub.hub import Hub
from messageflow.hub.session import Session
from messageflow.hub.session_state import State

_CLOSES = {UNAUTHORIZED: INVALID_TOKEN, TOKEN_EXPIRED: INVALID_TOKEN, TOO_MANY_REQUESTS: TOO_MANY_COMMANDS}
_CODES = {error.code: disconnect.code for error, disconnect in _CLOSES.items()}


def close_for(error: ErrorCode) -> Disconnect:
    """Return how a connection ends whose connect was refused."""
    otherwise = SERVER_ERROR if error.temporary else FORBIDDEN
    return Disconnect(_CODES.get(error.code, otherwise.code), error.message)


class OneWayWebSocket(WebSocketWithHeaders):
    """One whose client says one thing at most.

    Args:
        hub: where the session belongs.
        limits: what the peer may send.
        address: the peer's address, for caps and logs.
        leaving: where a connection enters itself from the moment it is told to end until it is gone.
        headers: of its handshake, those that the application sees.
        prepare: reads what the request asks for, with the first message or with none.
        is_told: whether the request says it all.
    """

    __slots__ = ("_is_told", "_prepare")

    kind = ONE_WAY_WEBSOCKET

    def __init__(
        self,
        hub: Hub,
        limits: WebSocketLimits,
        address: str,
        leaving: set[Connection],
        headers: Mapping[str, str],
        prepare: Callable[[bytes], Opening],
        *,
        is_told: bool,
    ) -> None:
        super().__init__(hub, limits, address, leaving, headers)
        self._prepare: Callable[[bytes], Opening] | None = prepare
        self._is_told = is_told

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.write = self._write_or_close

    def begin(self, session: Session | None) -> None:
        super().begin(session)
        if self._is_told:
            self._connect(b"")

    def on_text(self, message: bytes) -> None:
        if not message.isascii():
            message.decode()  # raises what ends a connection with 1007
        self._connect(message)

    def on_pong(self, data: bytes) -> None:
        session = self._session
        if session is not None and session.pings and not data:  # others nobody asked for, RFC 6455 §5.5.3
            session.pong()
        super().on_pong(data)

    def on_lost(self) -> None:
        self.write = self.transport.write  # or it would hold itself
        super().on_lost()

    def _connect(self, message: bytes) -> None:
        session, prepare = self._session, self._prepare
        if session is None or prepare is None:
            return
        self._prepare = None
        try:
            opening = prepare(message)
        except ValueError as error:
            session.disconnect(MALFORMED._replace(reason=str(error)))
        else:
            opening.begin(session)

    def _write_or_close(self, data: bytes) -> None:
        session = self._session
        if session is not None and session.state is State.REFUSED:
            error = UNIDIRECTIONAL.read_error(payload_of(data))
            if error is not None:
                session.disconnect(close_for(error))
                return
        self.transport.write(data)


class OneWayWebSocketEndpoint(WebSocketEndpoint):
    """A `front_door.endpoint.HttpEndpoint`.

    Args:
        admission: knows who may come.
        limits: of frames.
        otherwise: answers requests for no WebSocket.
        opener: reads who connects.
    """

    def __init__(self, admission: Admission, limits: WebSocketLimits, otherwise: Page, opener: OneWayOpener) -> None:
        super().__init__(admission, limits, otherwise)
        self._opener = opener

    def _make_connection(self, head: Head, origin: str | None, came: Forwarded) -> OneWayWebSocket:
        asked, admission = parse_query(head.target), self._admission
        shown = admission.show_headers(head.headers, origin, came)
        return OneWayWebSocket(
            admission.hub,
            self._limits,
            came.address,
            admission.leaving,
            shown,
            partial(self._opener.prepare, head, asked),
            is_told=self._opener.is_told(head, asked),
        )
