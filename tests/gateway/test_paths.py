"""Which paths are the gateway's: alone all of them, beside an application three and no other."""

from __future__ import annotations

import pytest

from messageflow.gateway.paths import Paths

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


@pytest.mark.parametrize("path", KEPT)
def test_a_guest_keeps_its_own(path: str) -> None:
    assert GUEST.are_own(path.encode())


@pytest.mark.parametrize("path", FREE)
def test_a_guest_takes_nothing_else(path: str) -> None:
    assert not GUEST.are_own(path.encode())
    assert ALONE.are_own(path.encode())


def test_calls_are_below_the_base_path_and_of_a_gateway_alone_at_the_root_too() -> None:
    assert [paths.method_called(b"/messageflow/api/push") for paths in (GUEST, ALONE)] == [b"push", b"push"]
    assert [paths.method_called(b"/api/push") for paths in (GUEST, ALONE)] == [None, b"push"]
    assert [paths.method_called(b"/x/api/push") for paths in (GUEST, ALONE)] == [None, None]


def test_the_base_path_moves() -> None:
    moved = Paths("/push/own/", guest=True)
    assert moved.method_called(b"/push/own/api/info") == b"info"
    assert moved.method_called(b"/messageflow/api/info") is None
    assert not moved.are_own(b"/messageflow/health")
    assert moved.kept == ("/messageflow.js", "/connection/websocket", "/push/own/")


def test_a_base_path_like_the_root_of_calls_does_not_hide_them() -> None:
    alone = Paths("/api/", guest=False)
    assert [alone.method_called(path) for path in (b"/api/push", b"/api/api/push")] == [b"push", b"push"]
