"""One HTTP/1.1 connection of the port: requests in their order, each with the endpoint of its path.

The next request is looked at when the one before is answered and its body has ended, whatever answers it; what comes
sooner waits, and is bounded. Who takes no answers gets no more of them. So a pipeline may lead to different endpoints,
and answers never change places. A WebSocket takes the transport over, and nothing of this stays.

Knows no endpoint, and parses nothing but heads and the ends of bodies. Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from messageflow.gateway.front_door.body import Chunked, Counted, body_of
from messageflow.gateway.front_door.endpoint import DeafExchange, Exchange, HttpEndpoint
from messageflow.gateway.front_door.front_door import FrontDoor
from messageflow.gateway.front_door.head import BadRequest, Head, parse_head
from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.proxies import UNIX

PIPELINE, EXCHANGE = 1, 2  # why reading pauses


class _Answered(DeafExchange):
    """In the place of a request that is answered, while its body goes on."""

    has_begun = True


ANSWERED = _Answered()


class HttpConnection(asyncio.Protocol):
    """A `front_door.endpoint.EndpointConnection`.

    Args:
        door: what all connections of the port share.
    """

    __slots__ = (
        "_body",
        "_door",
        "_exchange",
        "_head",
        "_holds",
        "_is_reading",
        "_pending",
        "_thrown_away",
        "backstage",
        "is_over",
        "keep_alive",
        "transport",
        "write_paused",
    )

    in_handshake = False

    def __init__(self, door: FrontDoor) -> None:
        self.transport: asyncio.Transport
        self.keep_alive = True
        self.write_paused = False
        self.backstage: Exchange | None = None
        self.is_over = False  # what still comes is thrown away
        self._door = door
        self._head: Head | None = None  # of the request that is being answered
        self._exchange: Exchange | None = None
        self._body: Counted | Chunked | None = None
        self._pending = b""
        self._holds = 0
        self._is_reading = False
        self._thrown_away = 0  # bytes

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port at the other end; without either when it is gone already."""
        return address(self.transport, "peername")

    @property
    def pending(self) -> int:
        """The bytes behind the head that have come already."""
        return len(self._pending)

    @property
    def body_is_due(self) -> bool:
        """Whether more of the request is to come."""
        return self._body is not None

    # What the transport says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._door.opened(self)

    def data_received(self, data: bytes) -> None:
        if self.is_over:
            self._throw_away(data)
            return
        if self._exchange is None and not (self._pending or self._is_reading or self.write_paused):
            end = data.find(b"\r\n\r\n") + 4
            if end == len(data) and data.startswith(b"GET ") and self._take_get(data):
                return
            known = self._door.known_calls.get(data[:end])
            if known is not None and len(data) == end + known.head.length:
                if self._door.lend is None or not self._door.lend(self, known.head, data):
                    self._take_whole(known.head, known.endpoint, data[end:])
                return
        self._pending = self._pending + data if self._pending else data
        if not self._is_reading:
            self._read()

    def _throw_away(self, data: bytes) -> None:
        self._thrown_away += len(data)
        if self._thrown_away > self._door.limits.linger_bytes:
            self.transport.abort()

    def pause_writing(self) -> None:
        self.write_paused = True
        self._door.await_peer(self)
        for each in self._exchanges():
            each.pause_writing()

    def resume_writing(self) -> None:
        self.write_paused = False
        self._door.answer_taken(self)
        for each in self._exchanges():
            each.resume_writing()
        if self._pending and self._exchange is None and not self._is_reading:
            self._read_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self._door.forget(self)
        exchanges = self._exchanges()
        self._exchange = self.backstage = self._body = self._head = None
        for each in exchanges:
            each.lost(exc)

    def _exchanges(self) -> set[Exchange]:
        return {each for each in (self._exchange, self.backstage) if each is not None}

    # Requests

    def _read(self) -> None:
        """Handle what has come as far as that is possible now."""
        self._is_reading = True
        try:
            while self._step():
                pass
        except BadRequest as error:
            self._refuse(error)
        finally:
            self._is_reading = False
        if self.is_over:
            return
        if self._exchange is None or self._exchange is ANSWERED:
            self._door.await_head(self, begun=bool(self._pending) and not self.write_paused)
        elif self._body is not None and not self._holds:
            self._door.await_peer(self)
        self._hold(PIPELINE, len(self._pending) > self._door.limits.head_bytes)

    def _take_get(self, data: bytes) -> bool:
        """Handle a head that came alone and whole: what browsers send. Returns False, and does nothing, for others."""
        if len(data) > self._door.limits.head_bytes:
            return False
        try:
            head = parse_head(data)
        except BadRequest:
            return False
        if head.length:
            return False
        self._take_whole(head, self._door.routes.find(head.path), b"")
        return True

    def _take_whole(self, head: Head, endpoint: HttpEndpoint, content: bytes) -> None:
        """Handle a request that is here with all of its body: what browsers send, and most calls of backends."""
        self._head = head
        self.keep_alive = head.keep_alive
        self._is_reading = True
        try:
            exchange = self._exchange = endpoint.begin(self, head)
            if exchange is not None:
                if content:
                    exchange.receive(content)
                exchange.end()
        finally:
            self._is_reading = False
        if self._exchange is None and not self.is_over:
            self._door.await_next(self)
        else:
            self._door.head_came(self)

    def _step(self) -> bool:
        """Take one piece of what is pending. Returns False when none can be taken now."""
        if self.is_over or not self._pending:
            return False
        if self._body is not None:
            self._take_body(self._body)
            return True
        return self._exchange is None and not self.write_paused and self._take_head()

    def _take_head(self) -> bool:
        data, most = self._pending, self._door.limits.head_bytes
        if data[0] in b"\r\n":
            data = data.lstrip(b"\r\n")  # RFC 9112 §2.2: before a request they count for nothing
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or end > most:
            self._check_beginning(data)
            return False
        head = self._head = parse_head(data if end == len(data) else data[:end])
        self._pending = data[end:]
        self._door.head_came(self)
        self.keep_alive = head.keep_alive
        if head.length:
            self._body = body_of(head.length)
        endpoint = self._door.routes.find(head.path)
        exchange = endpoint.begin(self, head)
        if head.call is not None:
            self._door.known_calls.add(head, endpoint)
        if exchange is not None:
            self._exchange = exchange
            if self._body is None:
                exchange.end()
        return True

    def _check_beginning(self, data: bytes) -> None:
        """Refuse at once what will never be a head."""
        if len(self._pending) > self._door.limits.head_bytes:
            raise BadRequest(431, "The request head is too large.")
        if data and (not data[:1].isupper() or data.count(b"\n") != data.count(b"\r\n")):
            raise BadRequest(400, "Invalid HTTP request received.")

    def _take_body(self, body: Counted | Chunked) -> None:
        data, exchange = self._pending, self._exchange
        assert exchange is not None
        content, end = body.take(data)
        self._pending = data[end:]
        if body.done:
            self._body = None
            self._door.peer_came(self)
        exchange.receive(content)
        if not body.done or self.is_over:
            return
        if exchange is ANSWERED:
            self._exchange = None
        else:
            exchange.end()

    # What endpoints do

    def send(self, response: HttpResponse) -> None:
        """Write an answer; `finish` has to follow."""
        head = self._head
        if head is None or self.is_over:
            return
        body = self._body
        if body is not None and (head.expects_continue or body.left > self._door.limits.head_bytes):
            self.keep_alive = False  # nobody knows whether it comes, or it is not worth the wait
        without_body = head.method == b"HEAD"
        self.transport.write(response.encode(self._door.common, close=not self.keep_alive, without_body=without_body))

    def finish(self) -> None:
        """The answer is written: the next request may come. A body that goes on is read and thrown away."""
        if self.is_over:
            return
        self._head = None
        if not self.keep_alive:
            self.close()
            return
        self._exchange = None if self._body is None else ANSWERED
        if self._holds:
            self._hold(EXCHANGE, False)
        if self._is_reading:
            return
        self._door.await_head(self, begun=False)
        if self._pending:
            self._read_soon()

    def _read_soon(self) -> None:
        """Go on in a turn and a context of its own, since this one is of what answered."""
        asyncio.get_running_loop().call_soon(self._read_on, context=contextvars.Context())

    def _read_on(self) -> None:
        if not (self.is_over or self._is_reading):
            self._read()

    def answer(self, response: HttpResponse) -> None:
        """Write an answer, and be done with the request."""
        self.send(response)
        if self.write_paused:
            self._door.await_taking(self)
        self.finish()

    def _refuse(self, error: BadRequest) -> None:
        """Say what is wrong with a request, unless its answer has begun, and close."""
        if self._exchange is None or not self._exchange.has_begun:
            self.turn_away(HttpResponse(error.status, body=error.reason.encode()))
        else:
            self.close(unread=True)

    def turn_away(self, response: HttpResponse) -> None:
        """Answer whatever is asked, and close."""
        self.transport.write(response.encode(self._door.common, close=True))
        self.close(unread=True)

    def close(self, *, unread: bool = False) -> None:
        """Close once what was written is out. A peer that still sends may finish, or it would never see the answer.

        Args:
            unread: whether more may come that nobody reads.
        """
        if self.is_over:
            return
        self.is_over = True
        unread = unread or self._body is not None or bool(self._pending)
        self._pending = b""
        if unread and self.transport.can_write_eof() and not self.transport.is_closing():
            self._hold(PIPELINE | EXCHANGE, False)
            self.transport.write_eof()
            self._door.linger(self)
        else:
            self.transport.close()
            if not self.transport.can_write_eof():  # TLS: it stays until the peer has answered
                self._door.await_peer(self)

    def hold(self, on: bool) -> None:
        """Read no more of the body for now, or go on."""
        self._hold(EXCHANGE, on)
        if on or self._body is None:
            self._door.peer_came(self)
        else:
            self._door.await_peer(self)

    def _hold(self, reason: int, on: bool) -> None:
        before = self._holds
        self._holds = before | reason if on else before & ~reason
        if bool(before) != bool(self._holds) and not self.transport.is_closing():
            if self._holds:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Give the transport to a protocol that is connected to it, with what has come behind the head."""
        rest, self._pending = self._pending, b""
        if self._holds:
            self._hold(PIPELINE | EXCHANGE, False)
        self.is_over = True
        self._door.handed_over(self)
        self.transport.set_protocol(protocol)
        if rest:
            protocol.data_received(rest)

    def give_away(self, send: Callable[[int], bool]) -> bool:
        """Let another process have the socket, of a connection that owes no answer. Returns False, or it is gone.

        Args:
            send: sends a copy of a descriptor, or returns False.
        """
        transport = self.transport
        if self.backstage is not None or self._holds or transport.is_closing() or transport.get_write_buffer_size():
            return False
        if transport.get_extra_info("sslcontext") is not None:
            return False  # what it reads is here
        transport.pause_reading()
        if not send(transport.get_extra_info("socket").fileno()):
            transport.resume_reading()
            return False
        self.is_over = True
        self._door.forget(self)
        transport.close()
        return True

    def run(self, answering: Coroutine[Any, Any, None]) -> None:
        """Run what answers a request, as a task only if it has to wait; the end of the gateway waits for it."""
        self._door.run(answering)

    # The end

    def shutdown(self) -> None:
        """The gateway ends: close when nothing is being answered, else once it is."""
        if self.is_over or self._exchange is None or self._exchange is ANSWERED:
            self.transport.close()
        else:
            self.keep_alive = False


def address(transport: asyncio.Transport, which: str) -> tuple[str, int]:
    """Return host and port of one end; a peer that is gone already has none, and a Unix socket only its kind."""
    found = transport.get_extra_info(which)
    if isinstance(found, str | bytes):
        return UNIX, 0
    host, port = (found or ("", 0))[:2]
    return str(host), int(port)
