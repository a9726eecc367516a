"""The application beside the gateway sees the client and the scheme that trusted proxies tell of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.gateway.asking import get
from tests.support import Running, running

APPLICATION = """
import json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    seen = json.dumps({"client": scope["client"][0], "scheme": scope["scheme"]})
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": seen})
        await send({"type": "websocket.close"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": seen.encode()})
"""
SAID = {"X-Forwarded-For": "198.51.100.9, 203.0.113.7:51234, 127.0.0.9", "X-Forwarded-Proto": "WSS"}


@pytest.fixture(params=["127.0.0.0/8", "10.0.0.0/8"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, bool]]:
    """A gateway with an application, and whether it trusts this machine as a proxy."""
    directory = tmp_path_factory.mktemp("project")
    (directory / "project.py").write_text(APPLICATION)
    flags = ["--broker", "memory", "--trusted-proxies", request.param]
    with running(["run", "project:app", *flags], directory, cwd=directory) as started:
        yield started, request.param.startswith("127.")


def test_the_application_sees_whom_the_trusted_proxy_saw(gateway: tuple[Running, bool]) -> None:
    running_gateway, trusted = gateway
    client = "203.0.113.7" if trusted else "127.0.0.1"
    status, text = get(running_gateway.port, "/", **{name.replace("-", "_"): value for name, value in SAID.items()})
    assert status == 200
    assert json.loads(text) == {"client": client, "scheme": "https" if trusted else "http"}
    with connect(f"ws://127.0.0.1:{running_gateway.port}/chat", additional_headers=SAID) as websocket:
        seen: dict[str, Any] = json.loads(websocket.recv(10))
    assert seen == {"client": client, "scheme": "wss" if trusted else "ws"}
