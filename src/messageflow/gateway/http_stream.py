"""An HTTP answer that does not end, and its session, joined: what the hub writes is the body, its end the goodbye.

The head is held back until the session is let in: who is not gets a status that says why, and no stream. The body has
no length and no chunks; it ends with its connection, as every proxy understands (RFC 9112 §6.3). What the client may
send meanwhile is thrown away; that it has gone is seen at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from typing import NamedTuple

import msgspec

from messageflow.core.codes import (
    CONNECTION_LIMIT,
    INVALID_TOKEN,
    MALFORMED,
    PERMISSION_DENIED,
    TOKEN_EXPIRED,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    UNKNOWN_CHANNEL,
    Disconnect,
    ErrorCode,
)
from messageflow.core.event_ids import EventIds
from messageflow.dialects.stream_dialect import StreamDialect
from messageflow.gateway import tcp_options
from messageflow.gateway.front_door.response import JSON, HttpResponse
from messageflow.hub.connection import Connection, WayBack
from messageflow.hub.session import Session

CLOSE_TIMEOUT = 5.0  # seconds a peer has to take what was written before the end
RETRY_MILLISECONDS = (1000, 5000)  # from which each is told its own, so that many do not come back at once

_STATUS = {
    UNAUTHORIZED.code: 401,
    TOKEN_EXPIRED.code: 401,
    INVALID_TOKEN.code: 401,
    MALFORMED.code: 401,  # its commands are ours, so that what it lacks is who it is
    PERMISSION_DENIED.code: 403,
    UNKNOWN_CHANNEL.code: 404,
    TOO_MANY_REQUESTS.code: 429,
    CONNECTION_LIMIT.code: 429,
}
_HINTS = {
    MALFORMED.code: "say who listens: ?ticket= (flow.ticket), or a token (flow.token) in Authorization: Bearer",
    INVALID_TOKEN.code: "a ticket is good once, a token until it expires: ask for another; the gateway's log says more",
}
_HEAD = b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-type: %b\r\n%bconnection: close\r\n\r\n"
_UNBUFFERED = b"cache-control: no-cache, no-store, no-transform\r\nx-accel-buffering: no\r\n"  # the latter for nginx


class StreamTransport:
    """A `hub.transport.Transport` within the body of an answer.

    Args:
        name: what it is called where sessions are counted.
        before: each message.
        after: each message.
        one_way: whether the client says nothing; otherwise its commands come by requests of their own.
    """

    in_pieces = True
    probe = b""  # nothing comes back that could say how far it has read

    def __init__(self, name: str, before: bytes, after: bytes, *, one_way: bool) -> None:
        self.name = name
        self._before, self._after = before, after
        self.one_way = one_way

    def framing(self, *, text: bool) -> Callable[[bytes], bytes]:
        before, after = self._before, self._after
        return (lambda message: before + message + after) if before or after else bytes

    def shared_framing(self, *, text: bool) -> Callable[[bytes], bytes] | None:
        return None

    def ping(self, frame: bytes) -> bytes:
        return frame


class StreamKind(NamedTuple):
    """What an endpoint of streams sends.

    Args:
        transport: how messages follow one another.
        dialect: what they say.
        media_type: of the answer.
        late: all that is sent to who comes back when the time of their ticket is over; empty: they are refused.
    """

    transport: StreamTransport
    dialect: StreamDialect
    media_type: bytes
    late: bytes = b""


class HttpStream(asyncio.Protocol):
    """A `hub.connection.Connection` over the answer to a request.

    Args:
        stream: what is sent.
        address: the peer's address, for caps and logs.
        headers: those of the request that the application sees.
        leaving: where a connection enters itself from the moment it is told to end until it is gone.
        ids: completes the ids of events; None where they have none.
        way_back: where the client sends its commands; None where it has none.
        on_lost: called once the connection is gone.
        more: lines of the head, for this client.
        high_water: bytes that wait for the peer from which on it is slow.
    """

    __slots__ = (
        "_closing",
        "_frame",
        "_high_water",
        "_ids",
        "_is_open",
        "_leaving",
        "_more",
        "_on_lost",
        "_session",
        "_stream",
        "address",
        "headers",
        "kind",
        "transport",
        "way_back",
    )

    def __init__(
        self,
        stream: StreamKind,
        address: str,
        headers: Mapping[str, str],
        leaving: set[Connection],
        *,
        ids: EventIds | None,
        way_back: WayBack | None,
        on_lost: Callable[[], None] | None,
        more: Sequence[tuple[bytes, bytes]],
        high_water: int,
    ) -> None:
        self.kind = stream.transport
        self.address = address
        self.headers = headers
        self.transport: asyncio.Transport
        self._stream = stream
        self._leaving = leaving
        self._ids = ids
        self.way_back = way_back
        self._on_lost = on_lost
        self._more = b"".join(b"%b: %b\r\n" % header for header in more)
        self._high_water = high_water
        self._frame = stream.transport.framing(text=stream.dialect.is_text)
        self._session: Session | None = None
        self._is_open = False
        self._closing: asyncio.TimerHandle | None = None

    # What the transport says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.set_write_buffer_limits(high=self._high_water)

    def begin(self, session: Session | None) -> None:
        """Serve this session from now on; None: there is no room for one."""
        self._session = session
        if session is None:
            self.close(CONNECTION_LIMIT)

    def data_received(self, data: bytes) -> None:
        """Throw it away: there is nothing to say once the request was made."""

    def eof_received(self) -> None:
        """The client has gone, or will not be told apart from one that has."""

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._leaving.discard(self)
        self._end()
        if self._on_lost is not None:
            self._on_lost()

    def receive(self, message: bytes) -> None:
        """Take a message that the client sent another way."""
        if self._session is not None:
            self._session.heard = True
            self._session.receive(message)

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.pause()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.resume()

    def _end(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.lost()

    # What the session says

    def write(self, data: bytes) -> None:
        """Hand events or lines to the socket; the first decide what the answer is."""
        if not self._is_open:
            self._answer(data)
        else:
            self.transport.write(data if self._ids is None else self._ids.complete(data))

    def _answer(self, first: bytes) -> None:
        refusal = self._stream.dialect.read_error(first)
        if refusal is not None:
            if self._stream.late and refusal.code == TOKEN_EXPIRED.code:
                self._open(self._stream.late)
                self._leave()
            else:
                self._refuse(refusal)
            self._end()
            return
        self._open(b"" if self._ids is None else b"retry: %d\n\n" % random.randint(*RETRY_MILLISECONDS))
        self.transport.write(first if self._ids is None else self._ids.complete_each(first))

    def _open(self, first: bytes) -> None:
        self._is_open = True
        head = _HEAD % (formatdate(usegmt=True).encode(), self._stream.media_type, _UNBUFFERED + self._more)
        self.transport.write(head + first)

    def _refuse(self, error: ErrorCode) -> None:
        status = _STATUS.get(error.code, 503)
        headers = [(b"cache-control", b"no-store")]
        if status in (429, 503):
            headers.append((b"retry-after", b"%d" % random.randint(1, 5)))
        hint = _HINTS.get(error.code, "")
        body = msgspec.json.encode({"error": {"code": error.code, "message": error.message + (hint and f": {hint}")}})
        common = b"date: %b\r\n%b" % (formatdate(usegmt=True).encode(), self._more)
        self.transport.write(HttpResponse(status, headers, body, JSON).encode(common, close=True))
        self._leave()

    def close(self, disconnect: Disconnect) -> None:
        self._session = None
        if not self._is_open and self.way_back is not None:
            self._open(b"")  # a client that speaks the whole protocol looks for the reason there
        if self._is_open:
            self.transport.write(self._frame(self._stream.dialect.disconnect(disconnect)))
            self._leave()
        else:
            self._refuse(ErrorCode(disconnect.code, disconnect.reason))

    def _leave(self) -> None:
        """End once the peer has what was written, or has had its time."""
        self._leaving.add(self)
        self._is_open = True
        self.transport.close()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self.transport.abort)

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
        """What a client of a stream sends is thrown away, however much of it."""

    def resume_reading(self) -> None:
        """As above."""
