"""A WebSocket of a classic browser: it is asked who it is, a few times, and again before its token expires.

Each attempt is a session of its own, which the hub ends as it ends any that is refused; the connection stays for the
next. After the last it is not asked again, and ends as whoever says nothing: a page that comes back at once, as these
do, would otherwise ask its application for a token every second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from messageflow.core.codes import INVALID_TOKEN, MALFORMED, Disconnect
from messageflow.dialects.classic import ClassicDialect
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.websocket_connection import WebSocketWithHeaders
from messageflow.gateway.websocket_frames import WebSocketTransport, text_frame
from messageflow.gateway.websocket_limits import WebSocketLimits
from messageflow.hub.session import Session

ATTEMPTS = 3
NO_TOKEN = (INVALID_TOKEN, MALFORMED)  # the latter where there was none
RENEWAL_PINGS = 2.5  # intervals before the end of a token from which on another is asked for

_ASK_SYSTEM = b"\x89\x00"  # a ping of RFC 6455 §5.5.2, which every browser answers by itself


def _frame(message: bytes) -> bytes:
    return text_frame(message) if message else b""


class ClassicTransport(WebSocketTransport):
    """A `hub.transport.Transport` for clients that do not answer a heartbeat: their browser answers another."""

    def framing(self, *, text: bool) -> Callable[[bytes], bytes]:
        return _frame

    def ping(self, frame: bytes) -> bytes:
        return frame + _ASK_SYSTEM


CLASSIC = ClassicTransport()


class ClassicConnection(WebSocketWithHeaders):
    """A `hub.connection.Connection` whose client is asked for its token.

    Args:
        admission: lets in each attempt.
        dialect: that of its generation.
        limits: what the peer may send.
        address: the peer's address, for caps and logs.
        headers: of its handshake, those that the application sees.
    """

    __slots__ = ("_admission", "_attempts", "_dialect", "_failed", "_renewed")

    kind = CLASSIC

    def __init__(
        self,
        admission: Admission,
        dialect: ClassicDialect,
        limits: WebSocketLimits,
        address: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(admission.hub, limits, address, admission.leaving, headers)
        self._admission = admission
        self._dialect = dialect
        self._attempts = 0
        self._failed = _frame(dialect.failed)
        self._renewed = 0.0  # the end for which another token was asked for

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.write = self._write

    def begin(self, session: Session | None) -> None:
        """Serve this session from now on, and ask who it is; None: there is no room for one."""
        super().begin(session)
        if session is not None and self._attempts < ATTEMPTS:
            self._ask()

    def _ask(self) -> None:
        self.transport.write(_frame(self._dialect.request))

    def on_text(self, message: bytes) -> None:
        session = self._session
        if session is None:
            return
        if session.is_connected:
            if message == self._dialect.pong:
                return
            if not message.isascii():
                message.decode()  # raises what ends a connection with 1007
            session.receive_commands(self._dialect.decode_renewal(message), len(message))
            return
        self._attempts += 1
        if self._attempts > ATTEMPTS:
            session.disconnect(INVALID_TOKEN, "more attempts than it may have")
        else:
            super().on_text(message)

    def on_pong(self, data: bytes) -> None:
        super().on_pong(data)
        if self._session is not None:
            self._hub.note_heard(self._session)
            self._ask_before_the_end()

    def _write(self, data: bytes) -> None:
        self.transport.write(data)
        if data == self._failed:  # all that a delivery pays (benchmarks: dialects)
            self._try_again()

    def _try_again(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.lost()
        self.begin(self._admission.enter(self, self._dialect))

    def _ask_before_the_end(self) -> None:
        """Ask for another token, if the end of this one is near; the page has to be told that this one is of no use."""
        session, runtime = self._session, self._hub.runtime
        if session is None or session.expires_at == self._renewed:
            return
        if session.expires_at - runtime.clock() <= RENEWAL_PINGS * runtime.limits.heartbeat.ping_interval:
            self._renewed = session.expires_at
            self.transport.write(self._failed)
            self._ask()

    def close(self, disconnect: Disconnect) -> None:
        """End the connection, or the attempt alone where a token was not believed."""
        session = self._session
        is_attempt = session is not None and not session.user and self._attempts <= ATTEMPTS
        if disconnect in NO_TOKEN and is_attempt and not self.transport.is_closing():
            self._write(self._failed)
        else:
            super().close(disconnect)
