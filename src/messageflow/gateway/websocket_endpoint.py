"""The endpoint of WebSockets: who may open one, and the connection that takes the transport over.

Owns no connection: from its handshake on each is its session's.
"""

from __future__ import annotations

from functools import lru_cache

from messageflow.dialects.base import Dialect
from messageflow.gateway import refusal_log
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.endpoint import EndpointConnection, Exchange
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.handshake import answer_handshake, origin_of
from messageflow.gateway.pages import Page
from messageflow.gateway.proxies import Forwarded
from messageflow.gateway.websocket_compression import CompressedTransport
from messageflow.gateway.websocket_connection import CompressedWebSocket, WebSocketConnection, WebSocketWithHeaders
from messageflow.gateway.websocket_limits import WebSocketLimits

# The address of many is one string: 58 bytes less for each who comes through one proxy or network (benchmarks: memory).
_shared = lru_cache(maxsize=1024)(str)


class WebSocketEndpoint:
    """A `front_door.endpoint.HttpEndpoint`.

    Attributes:
        only: the dialect that is spoken here, whatever is asked for; None: that of the path and the subprotocol.

    Args:
        admission: knows who may come.
        limits: of frames.
        otherwise: answers requests for no WebSocket.
        compressed: what carries messages for clients that take them compressed; None: nothing is compressed.
    """

    only: Dialect | None = None

    def __init__(
        self,
        admission: Admission,
        limits: WebSocketLimits,
        otherwise: Page,
        compressed: CompressedTransport | None = None,
    ) -> None:
        self._admission = admission
        self._limits = limits
        self._otherwise = otherwise
        self._compressed = compressed

    def begin(self, connection: EndpointConnection, head: Head) -> Exchange | None:
        """Answer a handshake, and open the WebSocket."""
        if not head.upgrade or head.method != b"GET" or head.length:
            return self._otherwise.begin(connection, head)
        admission = self._admission
        peer = connection.peer[0]
        flooded = admission.refuse_flood(peer)
        if flooded is not None:
            connection.keep_alive = False
            connection.answer(flooded)
            return None
        came = admission.trace(peer, head.fields, secure=admission.secure)
        if not admission.answers_to(head.fields, came):
            connection.keep_alive = False
            connection.answer(HttpResponse(403))
            return None
        origin = origin_of(head.fields)
        compression = self._compressed is not None
        response = answer_handshake(head, origin, admission.origins, came, self.only, compression=compression)
        connection.transport.write(response.data)
        if response.status != 101 or response.dialect is None:
            if response.status == 403:
                admission.refuse_origin(origin, came)
            else:
                refusal_log.log_bad_upgrade(admission.hub, response.reason, came)
            connection.close()
            return None
        make = self._make_compressed if response.compressed else self._make_connection
        opened = make(head, origin, came)
        opened.connection_made(connection.transport)
        opened.begin(admission.enter(opened, response.dialect))
        connection.hand_over(opened)
        return None

    def _make_connection(self, head: Head, origin: str | None, came: Forwarded) -> WebSocketConnection:
        admission = self._admission
        address, hub = _shared(came.address), admission.hub
        if hub.hooks.any:
            shown = admission.show_headers(head.headers, origin, came)
            return WebSocketWithHeaders(hub, self._limits, address, admission.leaving, shown)
        return WebSocketConnection(hub, self._limits, address, admission.leaving)

    def _make_compressed(self, head: Head, origin: str | None, came: Forwarded) -> WebSocketConnection:
        admission, kind = self._admission, self._compressed
        assert kind is not None
        shown = admission.show_headers(head.headers, origin, came)
        return CompressedWebSocket(admission.hub, self._limits, _shared(came.address), admission.leaving, shown, kind)
