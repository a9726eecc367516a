"""The HTTP protocol of the port: uvicorn's, with a deadline on request heads and WebSocket upgrades of ours.

uvicorn sets no limit on how long a request head may take to arrive, nor on its size; this does. An upgrade on the
gateway's path becomes a connection of ours on the same transport; any other goes uvicorn's way, to the application.
"""

from __future__ import annotations

import asyncio
import http
import random
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from messageflow.gateway import refusals
from messageflow.gateway.api_endpoint import Call, Calls
from messageflow.gateway.handshake import answer, origin_of
from messageflow.gateway.origins import Origins
from messageflow.gateway.paths import WEBSOCKET_PATH, Paths
from messageflow.gateway.proxies import UNIX, Forwarded, Proxies, forwarded
from messageflow.gateway.websocket import FrameLimits
from messageflow.gateway.websocket_connection import WebSocketConnection
from messageflow.hub.hub import Hub

HEAD_BYTES = 65_536
LONGEST_RETRY = 5  # seconds: those who were refused together come back at different times


class Doorway:
    """What the HTTP protocol needs to know to open connections.

    Args:
        hub: where sessions begin.
        calls: what answers calls of the API.
        origins: the pages that may connect.
        limits: of frames.
        head_timeout: seconds a request head may take to arrive.
        proxies: those whose X-Forwarded headers are believed.
        tls_terminated: whether a proxy in front ends TLS, so that pages come from https.
        connections_limit: how many WebSockets may be open; 0 is no limit.
        arrivals_limit: how many may be between their handshake and the answer to their connect; 0 is no limit.

    Attributes:
        leaving: the connections that were told to end and are not gone yet.
    """

    def __init__(
        self,
        hub: Hub,
        calls: Calls,
        origins: Origins,
        limits: FrameLimits,
        *,
        head_timeout: float,
        proxies: Proxies,
        tls_terminated: bool = False,
        connections_limit: int = 0,
        arrivals_limit: int = 0,
    ) -> None:
        self.hub = hub
        self.calls = calls
        self.origins = origins
        self.limits = limits
        self.head_timeout = head_timeout
        self.proxies = proxies
        self.tls_terminated = tls_terminated
        self.connections_limit = connections_limit
        self.arrivals_limit = arrivals_limit
        self.leaving: set[WebSocketConnection] = set()
        self.refused_origins = 0
        self.refused_full = 0
        self.refused_busy = 0
        self.slow_heads = 0

    @property
    def full(self) -> bool:
        """Whether no more connections are taken."""
        if self.hub.draining:
            return True
        open_connections = len(self.hub.sessions) + len(self.hub.unauthenticated) + len(self.leaving)
        return bool(self.connections_limit) and open_connections >= self.connections_limit

    @property
    def busy(self) -> bool:
        """Whether more are coming in than should be served at once; those beyond do better to come a little later."""
        return bool(self.arrivals_limit) and len(self.hub.unauthenticated) + self.hub.connecting >= self.arrivals_limit


class GatewayHttpProtocol(HttpToolsProtocol):
    """One HTTP connection."""

    def __init__(self, doorway: Doorway, paths: Paths, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._doorway = doorway
        self._paths = paths
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = False
        self._called: bytes | None = None  # the method of the API
        self._offers_upgrade = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # What uvicorn's does, but for the socket object it makes to ask for addresses, which would stay with every
        # connection: 320 bytes and 15 µs each (benchmarks: memory, connect).
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server = _address(transport, "sockname")
        self.client = _address(transport, "peername")
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self._arm(0)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._disarm()
        self._in_head = False
        method = self.parser.get_method()
        self._called = self._paths.method_called(self._path()) if method == b"POST" else None
        self._offers_upgrade = self.parser.should_upgrade() and method != b"CONNECT"
        if self._offers_upgrade:  # what becomes of it is decided when the parser stops, after this
            self.scope["method"] = method.decode("ascii")
        elif self._called is None:
            super().on_headers_complete()
        else:
            self._begin_call(self._called)

    def on_message_complete(self) -> None:
        if not self._offers_upgrade:
            super().on_message_complete()

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                value = b"close" if b"close" in value.lower() else b"keep-alive"
            if name != b"upgrade":
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _path(self) -> bytes:
        if self.url.startswith(b"/"):
            return self.url.partition(b"?")[0]
        return httptools.parse_url(self.url).path or b""  # the absolute form

    def _begin_call(self, method: bytes) -> None:
        """Do what uvicorn's `on_headers_complete` does, with a call of ours in the place of its cycle."""
        before = self.cycle
        call = Call(
            self._doorway.calls,
            method,
            self.headers,
            self.transport,
            self.flow,
            self.server_state.default_headers,
            keep_alive=self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive(),
            expects_continue=self.expect_100_continue,
            on_response=self.on_response_complete,
        )
        self.cycle = call  # type: ignore[assignment]
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def data_received(self, data: bytes) -> None:
        if self._deadline is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self._arrives(data):
                return
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._deadline is None and (self._in_head or not self._is_busy):
            self._arm(len(data))  # most heads arrive whole, and need no timer

    @property
    def _is_busy(self) -> bool:
        """Whether a request is being answered, or its connection became another's."""
        answering = self.cycle is not None and not self.cycle.response_complete
        return answering or self.timeout_keep_alive_task is not None or self.transport.get_protocol() is not self

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if self._called is None and (self._is_ours or self._should_upgrade()):
                self._upgrade(rest)
            elif self._offers_upgrade:
                # It is answered as if it had offered none, RFC 9110 §7.8; its body is still to come.
                head = self._head_without_upgrade()
                self.parser = httptools.HttpRequestParser(self)
                self._parse(head + rest)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _arrives(self, data: bytes) -> bool:
        """Whether a head over the limit ends in this very piece, a body following; else refuse it."""
        if b"\r\n\r\n" in data:
            return True
        self.send_400_response("The request head is too large.")
        return False

    def _arm(self, arrived: int) -> None:
        if self._deadline is None:
            self._head_bytes = arrived
            self._deadline = self.loop.call_later(self._doorway.head_timeout, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self._doorway.slow_heads += 1
        self.transport.abort()

    @property
    def _is_ours(self) -> bool:
        return self.url.partition(b"?")[0] == WEBSOCKET_PATH

    def _upgrade(self, rest: bytes) -> None:
        if not self._is_ours:
            self.handle_websocket_upgrade()
            return
        self.connections.discard(self)
        doorway = self._doorway
        peer = self.client[0] if self.client else ""
        if doorway.full:
            doorway.refused_full += 1
            refusals.full(doorway.hub, peer, doorway.connections_limit)
            self._refuse(b"503 Service Unavailable", b"Retry-After: 1\r\n")
            return
        if doorway.busy:
            doorway.refused_busy += 1
            refusals.busy(doorway.hub, peer, doorway.arrivals_limit)
            self._refuse(b"503 Service Unavailable", b"Retry-After: %d\r\n" % random.randint(1, LONGEST_RETRY))
            return
        secure = self.scheme == "https" or doorway.tls_terminated
        came = forwarded(peer, secure, self.headers, doorway.proxies)
        if not doorway.origins.answer_to(came.host):
            self._count_refused(came)
            self._refuse(b"403 Forbidden", b"")
            return
        response = answer(self.url.decode("latin-1"), self.headers, doorway.origins, came)
        self.transport.write(response.data)
        if response.status != 101 or response.dialect is None:
            if response.status == http.HTTPStatus.FORBIDDEN:
                self._count_refused(came)
            else:
                refusals.bad_upgrade(doorway.hub, response.data, came)
            self.transport.close()
            return
        self._let_go()
        connection = WebSocketConnection(doorway.hub, doorway.limits, came.address, doorway.leaving)
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)
        connection.open(response.dialect)
        if rest:
            connection.data_received(rest)

    def _count_refused(self, came: Forwarded) -> None:
        self._doorway.refused_origins += 1
        refusals.origin_refused(self._doorway.hub, self._doorway.origins, origin_of(self.headers), came)

    def _let_go(self) -> None:
        """Break the cycle with the parser, so that what an upgraded connection no longer needs is freed at once."""
        del self.parser, self.flow, self.scope, self.headers

    def _refuse(self, status: bytes, headers: bytes) -> None:
        self.transport.write(b"HTTP/1.1 %b\r\n%bContent-Length: 0\r\nConnection: close\r\n\r\n" % (status, headers))
        self.transport.close()


def _address(transport: asyncio.Transport, which: str) -> tuple[str, int]:
    """Return host and port of one end; a peer that is gone already has none, and a Unix socket only its kind."""
    found = transport.get_extra_info(which)
    if isinstance(found, str | bytes):
        return UNIX, 0
    host, port = (found or ("", 0))[:2]
    return str(host), int(port)


def http_protocol(doorway: Doorway, paths: Paths) -> Callable[..., GatewayHttpProtocol]:
    """Return the factory uvicorn takes as its HTTP protocol class."""

    def make(**arguments: Any) -> GatewayHttpProtocol:
        return GatewayHttpProtocol(doorway, paths, **arguments)

    return make
