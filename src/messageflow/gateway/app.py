"""The HTTP side of the gateway: health, metrics and the browser client; everything else is the application's.

Built of Starlette's requests and responses. Calls of the API are answered before they come here (`calling`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from messageflow.errors import BrokerError
from messageflow.gateway.calling import JSON, Calls, error
from messageflow.gateway.http import WEBSOCKET_PATH
from messageflow.gateway.metrics import CONTENT_TYPE, Metrics
from messageflow.hub.hub import Hub

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

CLIENT = Path(__file__).parent / "static" / "messageflow.js"
OWN_PATHS = ("/health", "/ready", "/metrics", "/messageflow.js")


class GatewayApp:
    """The ASGI application of the port.

    Args:
        hub: for readiness.
        calls: says who has the key; calls themselves are answered before they come here.
        metrics: what `/metrics` shows.
        metrics_public: show metrics to everybody.
        application: gets every request that is not the gateway's.
    """

    def __init__(
        self,
        hub: Hub,
        calls: Calls,
        metrics: Metrics,
        *,
        metrics_public: bool = False,
        application: ASGIApp | None = None,
    ) -> None:
        self._hub = hub
        self._calls = calls
        self._metrics = metrics
        self._metrics_public = metrics_public
        self._application = application
        self._client = CLIENT.read_bytes()
        self._own = Starlette(
            routes=[
                Route("/api/{method}", self._not_a_call),
                Route("/health", self._health),
                Route("/ready", self._ready),
                Route("/metrics", self._show_metrics),
                Route("/messageflow.js", self._serve_client),
                Route(WEBSOCKET_PATH.decode(), self._not_a_websocket),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._application is None or (scope["type"] == "http" and _is_own(scope["path"])):
            await self._own(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def _health(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, request: Request) -> Response:
        trouble = "draining" if self._hub.draining else self._hub.broker.trouble
        return PlainTextResponse(f"{trouble}\n", 503) if trouble else PlainTextResponse("ready\n")

    async def _show_metrics(self, request: Request) -> Response:
        if not (self._metrics_public or _from_here(request) or self._calls.are_allowed(request.headers.raw)):
            refusal = error(101, "metrics are shown on this machine, with the API key, or with metrics_public")
            return Response(refusal, 401, media_type=JSON)
        try:
            return Response(await self._metrics.render(), media_type=CONTENT_TYPE)
        except BrokerError as problem:
            return Response(error(100, f"the other workers cannot be asked: {problem}"), 503, media_type=JSON)

    async def _serve_client(self, request: Request) -> Response:
        headers = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
        return Response(self._client, headers=headers, media_type="text/javascript")

    async def _not_a_call(self, request: Request) -> Response:
        return Response(error(107, "calls of the API are made with POST"), 405, {"allow": "POST"}, media_type=JSON)

    async def _not_a_websocket(self, request: Request) -> Response:
        return PlainTextResponse(
            "This address takes WebSocket connections, for example from /messageflow.js.\n",
            426,
            {"upgrade": "websocket", "connection": "upgrade"},
        )


def _is_own(path: str) -> bool:
    return path in OWN_PATHS or path.startswith(("/api/", "/connection/"))


def _from_here(request: Request) -> bool:
    """Whether a request comes from this machine, and from no proxy on it."""
    if request.client is None or any(n.startswith("x-forwarded") or n == "forwarded" for n in request.headers):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
