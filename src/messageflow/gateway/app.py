"""The HTTP side of the gateway: the API, health, metrics and the browser client; everything else is the application's.

Built of Starlette's requests and responses. The key of the API travels in a header and is compared in constant time.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from messageflow.errors import BrokerError
from messageflow.gateway.api import WorkerApi
from messageflow.gateway.http import WEBSOCKET_PATH
from messageflow.gateway.metrics import CONTENT_TYPE, Metrics
from messageflow.hub.hub import Hub

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES = 16 << 20  # of one API call; a batch larger than this is better sent as several
BODY_TIMEOUT = 10.0  # seconds the body of an API call may take to arrive
CLIENT = Path(__file__).parent / "static" / "messageflow.js"
OWN_PATHS = ("/health", "/ready", "/metrics", "/messageflow.js")
_JSON = "application/json"


class GatewayApp:
    """The ASGI application of the port.

    Args:
        hub: for readiness.
        api: what the API calls.
        metrics: what `/metrics` shows.
        api_key: what a backend has to present; empty: the API is closed.
        metrics_public: show metrics to everybody.
        application: gets every request that is not the gateway's.
    """

    def __init__(
        self,
        hub: Hub,
        api: WorkerApi,
        metrics: Metrics,
        api_key: str,
        *,
        metrics_public: bool = False,
        application: ASGIApp | None = None,
    ) -> None:
        self._hub = hub
        self._api = api
        self._metrics = metrics
        self._api_key = api_key.encode()
        self._metrics_public = metrics_public
        self._application = application
        self._client = CLIENT.read_bytes()
        self._own = Starlette(
            routes=[
                Route("/api/{method}", self._call, methods=["POST"]),
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

    async def _call(self, request: Request) -> Response:
        if not self._key_is_right(request):
            return _error(401, 101, "the API key is missing or wrong: send it as the header X-API-Key")
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await _body(request)
        except TimeoutError:
            return _error(408, 107, f"the body did not arrive within {BODY_TIMEOUT:.0f} s")
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return _error(413, 107, f"the body is over {BODY_BYTES} bytes: send several smaller calls")
        status, answer = await self._api.call(request.path_params["method"], body)
        return Response(answer, status, media_type=_JSON)

    def _key_is_right(self, request: Request) -> bool:
        headers = request.headers
        presented = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("apikey ")
        return bool(self._api_key) and hmac.compare_digest(presented.encode(), self._api_key)

    async def _health(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, request: Request) -> Response:
        trouble = "draining" if self._hub.draining else self._hub.broker.trouble
        return PlainTextResponse(f"{trouble}\n", 503) if trouble else PlainTextResponse("ready\n")

    async def _show_metrics(self, request: Request) -> Response:
        if not (self._metrics_public or _from_here(request) or self._key_is_right(request)):
            return _error(401, 101, "metrics are shown on this machine, with the API key, or with metrics_public")
        try:
            return Response(await self._metrics.render(), media_type=CONTENT_TYPE)
        except BrokerError as error:
            return _error(503, 100, f"the other workers cannot be asked: {error}")

    async def _serve_client(self, request: Request) -> Response:
        headers = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
        return Response(self._client, headers=headers, media_type="text/javascript")

    async def _not_a_websocket(self, request: Request) -> Response:
        return PlainTextResponse(
            "This address takes WebSocket connections, for example from /messageflow.js.\n",
            426,
            {"upgrade": "websocket", "connection": "upgrade"},
        )


def _is_own(path: str) -> bool:
    return path in OWN_PATHS or path.startswith(("/api/", "/connection/"))


async def _body(request: Request) -> bytes | None:
    """Return the body, or None when it is too large."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > BODY_BYTES:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _from_here(request: Request) -> bool:
    """Whether a request comes from this machine, and from no proxy on it."""
    if request.client is None or any(n.startswith("x-forwarded") or n == "forwarded" for n in request.headers):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _error(status: int, code: int, message: str) -> Response:
    return Response(b'{"error":{"code":%d,"message":"%b"}}' % (code, message.encode()), status, media_type=_JSON)
