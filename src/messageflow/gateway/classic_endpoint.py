"""The endpoint of classic browsers, where the setting `classic` names their generation."""

from __future__ import annotations

from messageflow.dialects.classic import ClassicDialect
from messageflow.gateway.classic_connection import ClassicConnection
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.pages import Page
from messageflow.gateway.proxies import Forwarded
from messageflow.gateway.websocket_endpoint import WebSocketEndpoint
from messageflow.gateway.websocket_limits import WebSocketLimits


class ClassicEndpoint(WebSocketEndpoint):
    """A `WebSocketEndpoint` that speaks one generation of the classic dialect.

    Args:
        admission: knows who may come.
        limits: of frames.
        otherwise: answers requests for no WebSocket.
        dialect: that of the generation.
    """

    def __init__(self, admission: Admission, limits: WebSocketLimits, otherwise: Page, dialect: ClassicDialect) -> None:
        super().__init__(admission, limits, otherwise)
        self.only = self._classic = dialect

    def _make_connection(self, head: Head, origin: str | None, came: Forwarded) -> ClassicConnection:
        admission = self._admission
        shown = admission.show_headers(head.headers, origin, came)
        return ClassicConnection(admission, self._classic, self._limits, came.address, shown)
