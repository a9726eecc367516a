"""The HTTP side of the gateway: health, metrics and the browser client; everything else is the application's.

Built of Starlette's requests and responses. Calls of the API are answered before they come here (`api_endpoint`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from messageflow.errors import BrokerError
from messageflow.gateway import front, refusals
from messageflow.gateway.api_endpoint import JSON, error
from messageflow.gateway.handshake import origin_of
from messageflow.gateway.http import Doorway
from messageflow.gateway.metrics import CONTENT_TYPE, Metrics
from messageflow.gateway.paths import CLIENT_PATH, WEBSOCKET_PATH, Paths
from messageflow.gateway.proxies import forwarded, is_local

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

CLIENT = Path(__file__).parent / "static" / "messageflow.js"


class GatewayApp:
    """The ASGI application of the port.

    Args:
        doorway: knows the hub, who has the key, and what is believed of proxies; calls of the API and WebSockets are
            answered before they come here.
        metrics: what `/metrics` shows.
        paths: which are the gateway's.
        metrics_public: show metrics to everybody.
        application: gets every request that is not the gateway's.
    """

    def __init__(
        self,
        doorway: Doorway,
        metrics: Metrics,
        paths: Paths,
        *,
        metrics_public: bool = False,
        application: ASGIApp | None = None,
    ) -> None:
        self._doorway = doorway
        self._metrics = metrics
        self._paths = paths
        self._metrics_public = metrics_public
        self._application = application
        self._client = CLIENT.read_bytes()
        self._client_headers = {
            "etag": f'"{hashlib.sha256(self._client).hexdigest()[:32]}"',
            "cache-control": "no-cache",  # it may be kept, and is asked for again after an upgrade of the gateway
            "x-content-type-options": "nosniff",
            # Pages of other origins may have it: with `crossorigin` and `integrity`, as a module, isolated, measured.
            "access-control-allow-origin": "*",
            "cross-origin-resource-policy": "cross-origin",
            "timing-allow-origin": "*",
        }
        self._own = Starlette(
            routes=[
                *(route for root in paths.roots for route in self._routes(root)),
                Route("/", self._front),
                Route(CLIENT_PATH.decode(), self._serve_client),
                Route(WEBSOCKET_PATH.decode(), self._not_a_websocket),
            ]
        )

    def _routes(self, root: str) -> list[Route]:
        return [
            Route(f"{root}api/{{method}}", self._not_a_call),
            Route(f"{root}health", self._health),
            Route(f"{root}ready", self._ready),
            Route(f"{root}metrics", self._show_metrics),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and not self._answers_to(scope):
            await _refuse_host(scope, receive, send)
        elif self._application is None or (scope["type"] != "lifespan" and self._paths.are_own(_path(scope))):
            await self._own(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    def _answers_to(self, scope: Scope) -> bool:
        """Whether a request is for a host of ours; the scope says from now on what trusted proxies say."""
        peer = scope["client"][0] if scope.get("client") else ""
        came = forwarded(peer, scope["scheme"] in ("https", "wss"), scope["headers"], self._doorway.proxies)
        if self._doorway.proxies.trust(peer):
            scope["client"] = (came.address, 0)
            scope["scheme"] = ("ws" if scope["type"] == "websocket" else "http") + "s" * came.secure
        if self._doorway.origins.answer_to(came.host):
            return True
        refusals.origin_refused(self._doorway.hub, self._doorway.origins, origin_of(scope["headers"]), came)
        return False

    async def _front(self, request: Request) -> Response:
        return HTMLResponse(front.front_page(self._paths.roots[0]), headers=front.HEADERS)

    async def _health(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, request: Request) -> Response:
        hub = self._doorway.hub
        trouble = "draining" if hub.draining else hub.broker.trouble
        if not trouble:
            return PlainTextResponse("ready\n")
        # What it is names directories and servers; whoever balances load has to know no more than that there is some.
        return PlainTextResponse(f"{trouble if hub.draining or self._may_look(request) else 'not ready'}\n", 503)

    async def _show_metrics(self, request: Request) -> Response:
        if not (self._metrics_public or self._may_look(request)):
            refusal = error(
                101,
                "metrics are shown with the API key, sent as X-API-Key, or to all with metrics_public; without them to "
                "programs on this machine that ask for localhost and not through a proxy",
            )
            return Response(refusal, 401, media_type=JSON)
        try:
            return Response(await self._metrics.render(), media_type=CONTENT_TYPE)
        except BrokerError as problem:
            return Response(error(100, f"the other workers cannot be asked: {problem}"), 503, media_type=JSON)

    def _may_look(self, request: Request) -> bool:
        """Whether a request comes with the API key, or from this machine."""
        doorway, peer = self._doorway, request.client
        if doorway.calls.are_allowed(request.headers.raw):
            return True
        if doorway.tls_terminated or peer is None:  # what comes from this machine then is the proxy
            return False
        return is_local(peer.host, request.scope["http_version"], request.headers.raw, doorway.proxies)

    async def _serve_client(self, request: Request) -> Response:
        headers = self._client_headers
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if known & {headers["etag"], "*"}:
            return Response(status_code=304, headers=headers)
        return Response(self._client, headers=headers, media_type="text/javascript")

    async def _not_a_call(self, request: Request) -> Response:
        return Response(error(107, "calls of the API are made with POST"), 405, {"allow": "POST"}, media_type=JSON)

    async def _not_a_websocket(self, request: Request) -> Response:
        address = request.client.host if request.client is not None else ""
        refusals.not_upgraded(self._doorway.hub, address, request.headers.get("host"))
        return PlainTextResponse(
            "This address takes WebSocket connections, for example from /messageflow.js.\n",
            426,
            {"upgrade": "websocket", "connection": "upgrade"},
        )


def _path(scope: Scope) -> bytes:
    """Return the path as it was sent, which is how it was compared before it came here."""
    path: bytes = scope["raw_path"]
    return path


async def _refuse_host(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})  # before it is accepted: 403
        return
    refusal = PlainTextResponse(
        "This gateway is in development and answers to localhost alone, so that no page on a name that was pointed at "
        "this machine passes for its own. If the name is yours, add http://that-name:port to allowed_origins.\n",
        403,
    )
    await refusal(scope, receive, send)
