"""`messageflow run` is a guest: an application that owns every path sees every request, whatever its method.

But for those the gateway says that it keeps. ASGI and WSGI, over real sockets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from websockets.sync.client import connect

from messageflow import Flow, PublishError
from tests.gateway.asking import get, upgrade
from tests.support import API_KEY, Running, running

APPLICATIONS = """
import json

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["path"]})
        await send({"type": "websocket.close"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    seen = [scope["method"], scope["path"], scope["query_string"].decode(), body.decode()]
    await send({"type": "http.response.start", "status": 299, "headers": [(b"x-seen", json.dumps(seen).encode())]})
    await send({"type": "http.response.body", "body": b""})

def wsgi(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length).decode()
    seen = [environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"], body]
    start_response("299 Seen", [("X-Seen", json.dumps(seen)), ("Content-Length", "0")])
    return [b""]
"""
PATHS = (
    *("/", "/api", "/api/", "/api/users", "/api/push", "/api/users/7", "/health", "/ready", "/metrics"),
    *("/connection", "/connection/", "/connection/other", "/connection/websocket/more", "/messageflow"),
    *("/messageflow.js.map", "/messageflows/health", "/static/messageflow.js"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def guest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("project")
    (directory / "project.py").write_text(APPLICATIONS)
    with running(["run", f"project:{request.param}", "--broker", "memory"], directory, cwd=directory) as started:
        yield started


@pytest.mark.parametrize("path", PATHS)
def test_the_application_sees_every_request(guest: Running, path: str) -> None:
    connection = HTTPConnection("127.0.0.1", guest.port, timeout=10)
    for method in METHODS:
        body = "sent" if method in ("POST", "PUT", "PATCH") else ""
        connection.request(method, f"{path}?a=b", body or None, {"X-API-Key": API_KEY})
        response = connection.getresponse()
        response.read()
        assert response.status == 299, (method, response.status)
        assert json.loads(response.getheader("X-Seen") or "") == [method, path, "a=b", body]
    connection.close()


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/"])
def test_an_upgrade_that_is_offered_and_not_taken_changes_nothing(guest: Running, path: str) -> None:
    connection = HTTPConnection("127.0.0.1", guest.port, timeout=10)
    for _ in range(2):  # as Java's HttpClient offers it, and on one connection
        connection.request("POST", path, "sent", {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"})
        response = connection.getresponse()
        response.read()
        assert response.status == 299
        assert json.loads(response.getheader("X-Seen") or "") == ["POST", path, "", "sent"]
    connection.close()


def test_what_is_kept_is_answered(guest: Running) -> None:
    assert get(guest.port, "/messageflow/health") == (200, "ok\n")
    assert get(guest.port, "/messageflow/ready") == (200, "ready\n")
    assert "messageflow_sessions" in get(guest.port, "/messageflow/metrics")[1]
    assert get(guest.port, "/messageflow/unknown")[0] == 404
    assert get(guest.port, "/messageflow/api/push")[0] == 405
    assert get(guest.port, "/messageflow.js")[0] == 200
    assert get(guest.port, "/connection/websocket")[0] == 426
    assert upgrade(guest.port) == 101
    assert upgrade(guest.port, "/messageflow/anything") == 403


def test_a_flow_in_another_process_finds_the_prefix(guest: Running) -> None:
    assert Flow(guest.url, api_key=API_KEY).push("alice", "report/ready").channel == "#alice"


def test_websockets_of_the_application_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(APPLICATIONS)
    with running(["run", "project:asgi", "--broker", "memory"], tmp_path, cwd=tmp_path) as started:
        for path in ("/connection/other", "/api/live", "/api", "/health", "/messageflow", "/connection/websocket/"):
            with connect(f"ws://127.0.0.1:{started.port}{path}") as websocket:
                assert websocket.recv(10) == path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_prefix_moves_for_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    (tmp_path / "project.py").write_text(APPLICATIONS)
    arguments = ["run", "project:asgi", "--broker", "memory", "--base-path", "/own", "--workers", workers]
    with running(arguments, tmp_path, cwd=tmp_path) as started:
        assert get(started.port, "/own/health") == (200, "ok\n")
        assert get(started.port, "/messageflow/health")[0] == 299
        flow = Flow(started.url, api_key=API_KEY)
        monkeypatch.setenv("MESSAGEFLOW_BASE_PATH", "/own/")
        assert flow.push("alice", "report/ready").offset == 1
        monkeypatch.delenv("MESSAGEFLOW_BASE_PATH")
        assert Flow(started.url, api_key=API_KEY, base_path="/own").push("alice", "report/ready").offset == 2
        with pytest.raises(PublishError):
            Flow(started.url, api_key=API_KEY).push("alice", "report/ready")


def test_a_gateway_alone_answers_at_the_root_and_below_the_prefix(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path) as started:
        for root in ("/", "/messageflow/"):
            assert get(started.port, f"{root}health") == (200, "ok\n")
            assert get(started.port, f"{root}ready") == (200, "ready\n")
            assert "messageflow_sessions" in get(started.port, f"{root}metrics")[1]
            connection = HTTPConnection("127.0.0.1", started.port, timeout=10)
            connection.request("POST", f"{root}api/push", '{"user":"alice","type":"t"}', {"X-API-Key": API_KEY})
            assert connection.getresponse().status == 200
            connection.close()
        assert Flow(started.url, api_key=API_KEY).push("alice", "report/ready").offset == 3
