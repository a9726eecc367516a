"""Which paths are the gateway's: alone all of them, beside an application three and no other."""

from __future__ import annotations

import pytest

from messageflow.dialects import table
from messageflow.dialects.native import NATIVE
from messageflow.gateway.api_endpoint import ApiKey
from messageflow.gateway.application import ApplicationEndpoint
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.origins import Origins
from messageflow.gateway.paths import Paths
from messageflow.gateway.proxies import Proxies
from messageflow.gateway.route_table import make_routes
from messageflow.gateway.websocket_limits import WebSocketLimits
from messageflow.gateway.worker_api import WorkerApi
from tests.hub.conftest import World

TRANSPORTS = tuple(
    f"/connection/{name}" for name in ("websocket", "uni_sse", "uni_http_stream", "uni_websocket", "http_stream", "sse")
)
GUEST, ALONE = Paths("/messageflow/", guest=True), Paths("/messageflow/", guest=False)
KEPT = (
    "/messageflow.js",
    "/connection/websocket",
    "/messageflow/",
    "/messageflow/api/push",
    "/messageflow/health",
    "/messageflow/what/ever",
)
FREE = (
    "/",
    "/api",
    "/api/",
    "/api/push",
    "/health",
    "/ready",
    "/metrics",
    "/connection",
    "/connection/",
    "/connection/websocket/",
    "/connection/websockets",
    "/connection/other",
    "/messageflow",
    "/messageflow.jsx",
    "/messageflow.js/",
    "/messageflows/",
    "/a/messageflow/health",
    "/MESSAGEFLOW/health",
    "/%6dessageflow/health",
)


def are_own(paths: Paths, path: str, *, guest: bool = True) -> bool:
    """Whether a request for this path is the gateway's to answer."""
    hub = World().hub
    admission = Admission(hub, Origins(), Proxies())
    application = ApplicationEndpoint(admission) if guest else None
    api, key = WorkerApi(hub, 65_536), ApiKey("")
    routes = make_routes(admission, api, key, paths, HttpLimits(), WebSocketLimits(), application)
    return application is None or routes.find(path.encode()) is not application


@pytest.mark.parametrize("path", KEPT)
async def test_a_guest_keeps_its_own(path: str) -> None:
    assert are_own(GUEST, path)


@pytest.mark.parametrize("path", FREE)
async def test_a_guest_takes_nothing_else(path: str) -> None:
    assert not are_own(GUEST, path)
    assert are_own(ALONE, path, guest=False)


def test_calls_are_below_the_base_path_and_of_a_gateway_alone_at_the_root_too() -> None:
    assert [paths.method_called(b"/messageflow/api/push") for paths in (GUEST, ALONE)] == [b"push", b"push"]
    assert [paths.method_called(b"/api/push") for paths in (GUEST, ALONE)] == [None, b"push"]
    assert [paths.method_called(b"/x/api/push") for paths in (GUEST, ALONE)] == [None, None]


async def test_the_base_path_moves() -> None:
    moved = Paths("/push/own/", guest=True)
    assert moved.method_called(b"/push/own/api/info") == b"info"
    assert moved.method_called(b"/messageflow/api/info") is None
    assert not are_own(moved, "/messageflow/health")
    assert moved.kept == ("/messageflow.js", *TRANSPORTS, "/connection/emulation", "/push/own/")


def test_a_classic_path_is_kept_where_it_is_on() -> None:
    assert "/websocket" in Paths("/", guest=True, classic=True).kept
    assert "/websocket" not in GUEST.kept


def test_the_path_of_a_new_transport_is_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    another = table.Spoken("/connection/another", "", NATIVE)
    monkeypatch.setattr(table, "DIALECTS", (*table.DIALECTS, another, another))
    assert GUEST.kept == (
        "/messageflow.js",
        *TRANSPORTS,
        "/connection/another",
        "/connection/emulation",
        "/messageflow/",
    )


def test_a_base_path_like_the_root_of_calls_does_not_hide_them() -> None:
    alone = Paths("/api/", guest=False)
    assert [alone.method_called(path) for path in (b"/api/push", b"/api/api/push")] == [b"push", b"push"]
