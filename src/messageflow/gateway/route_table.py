"""The table of the port: every path of the gateway and what answers there. To add a transport, add a line.

Where a dialect is spoken stands in `dialects.table`: WebSockets answer there, unless another transport has its line.
"""

from __future__ import annotations

from messageflow.core.gateway_paths import CLASSIC_PATH, MESSAGES_PATH
from messageflow.dialects import table
from messageflow.dialects.classic import ClassicDialect
from messageflow.gateway.api_endpoint import ApiEndpoint, ApiKey
from messageflow.gateway.application import ApplicationEndpoint
from messageflow.gateway.classic_endpoint import ClassicEndpoint
from messageflow.gateway.client_script import ClientScript
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.endpoint import HttpEndpoint
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.routes import Routes
from messageflow.gateway.health import Health
from messageflow.gateway.metrics import Metrics
from messageflow.gateway.one_way_opener import OneWayOpener, StreamProofs
from messageflow.gateway.one_way_websocket import OneWayWebSocketEndpoint
from messageflow.gateway.pages import (
    OpenApi,
    Page,
    Show,
    ShowLater,
    show_front,
    show_nothing,
    show_upgrade,
)
from messageflow.gateway.paths import CLIENT_PATH, Paths
from messageflow.gateway.stream_routes import make_streams
from messageflow.gateway.websocket_compression import CompressedTransport
from messageflow.gateway.websocket_endpoint import WebSocketEndpoint
from messageflow.gateway.websocket_limits import WebSocketLimits
from messageflow.gateway.worker_api import WorkerApi


def make_routes(
    admission: Admission,
    api: WorkerApi,
    key: ApiKey,
    paths: Paths,
    limits: HttpLimits,
    frames: WebSocketLimits,
    application: ApplicationEndpoint | None,
    *,
    metrics_public: bool = False,
    classic: ClassicDialect | None = None,
) -> Routes:
    """Return the table.

    Args:
        admission: what the endpoints ask.
        api: carries calls out.
        key: of the API.
        paths: where the gateway's own are.
        limits: of requests.
        frames: of WebSockets.
        application: answers for every other path; None: the gateway is alone.
        metrics_public: show metrics to everybody.
        classic: what browsers of the ancestors speak here, if they may come.
    """
    guest = application is not None

    def page(show: Show | ShowLater) -> Page:
        return Page(admission, show, guest=guest)

    health = Health(admission, Metrics(api.hub, api, admission), key, metrics_public=metrics_public)
    calls = ApiEndpoint(api, key, paths, limits)
    pages: dict[bytes, HttpEndpoint] = {CLIENT_PATH: page(ClientScript().show)}
    document = page(OpenApi().show)
    for root in paths.roots:
        pages |= {
            f"{root}health".encode(): page(health.show_health),
            f"{root}ready".encode(): page(health.show_readiness),
            f"{root}metrics".encode(): page(health.show_metrics),
            f"{root}openapi.json".encode(): document,
        }
    if application is None:
        pages[b"/"] = page(show_front(paths.roots[0]))
    nothing = page(show_nothing(pages.keys()))
    upgrade = page(show_upgrade(admission))
    compressed = CompressedTransport(frames.compression_min_size) if frames.compression else None
    websockets: HttpEndpoint = WebSocketEndpoint(admission, frames, upgrade, compressed)
    transports = {spoken.path.encode(): websockets for spoken in table.DIALECTS}
    opener = OneWayOpener(StreamProofs(key.secret), admission.hub.namespaces, resumes=False)
    transports[MESSAGES_PATH.encode()] = OneWayWebSocketEndpoint(admission, frames, upgrade, opener)
    if classic is not None:
        transports[CLASSIC_PATH.encode()] = ClassicEndpoint(admission, frames, upgrade, classic)
    transports |= make_streams(admission, key, limits, frames.buffer_high_water, alone=application is None)
    return Routes(
        pages | transports,
        {**dict.fromkeys(paths.calls, calls), paths.base: nothing},
        nothing if application is None else application,
    )
