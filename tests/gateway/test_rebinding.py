"""In development: a page on a name that somebody pointed at this machine is not the gateway's own page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.asking import get, upgrade
from tests.support import Running, running

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a token"})
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An application and the gateway as `run` starts them where there are no keys: in development."""
    directory = tmp_path_factory.mktemp("project")
    (directory / "project.py").write_text(APPLICATION)
    flags = ["--broker", "memory", "--allowed-origins", "http://mine.test:5000"]
    with running(["run", "project:app", *flags], directory, cwd=directory, keys=False) as started:
        yield started


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "project.localhost", "mine.test"])
def test_names_of_this_machine_and_names_that_are_listed_are_answered_to(gateway: Running, host: str) -> None:
    own = f"{host}:{gateway.port}"
    assert get(gateway.port, "/", Host=own) == (200, "a token")
    assert get(gateway.port, "/messageflow/ready", Host=own) == (200, "ready\n")
    assert upgrade(gateway.port, Host=own, Origin="http://mine.test:5000") == 101
    assert upgrade(gateway.port, Host=own, Origin="http://localhost:5173") == 101
    assert upgrade(gateway.port, "/chat", Host=own) == 101


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "0.0.0.0"])
def test_any_other_name_gets_nothing_of_gateway_and_application(gateway: Running, host: str) -> None:
    rebound = {"Host": f"{host}:{gateway.port}", "Origin": f"http://{host}:{gateway.port}"}
    for path in ("/", "/messageflow/metrics", "/messageflow/ready", "/messageflow.js"):
        status, text = get(gateway.port, path, **rebound)
        assert status == 403
        assert "allowed_origins" in text
    assert upgrade(gateway.port, **rebound) == 403
    assert upgrade(gateway.port, "/chat", **rebound) == 403
    local = rebound | {"Origin": "http://localhost:5173"}
    assert upgrade(gateway.port, **local) == 403
    assert upgrade(gateway.port, Host=f"localhost:{gateway.port}", Origin=rebound["Origin"]) == 403


@pytest.mark.parametrize("flags", [["serve", "--dev"], ["serve", "--dev", "--workers", "2"], ["demo"]])
def test_every_start_in_development_is_closed_to_other_names(tmp_path: Path, flags: list[str]) -> None:
    with running(flags, tmp_path, keys=False) as gateway:
        page = f"http://evil.example:{gateway.port}"
        assert upgrade(gateway.port, Host=f"evil.example:{gateway.port}", Origin=page) == 403
        assert get(gateway.port, "/", Host=f"evil.example:{gateway.port}")[0] == 403
        own = f"http://localhost:{gateway.port}"
        assert upgrade(gateway.port, Host=f"localhost:{gateway.port}", Origin=own) == 101


def test_in_production_the_own_name_is_whatever_a_page_asks_for(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path) as gateway:
        host = f"push.example.com:{gateway.port}"
        assert upgrade(gateway.port, Host=host, Origin=f"http://{host}") == 101
        assert upgrade(gateway.port, Host=host, Origin="http://evil.example") == 403
        assert get(gateway.port, "/metrics", Host=host)[0] == 401
        assert get(gateway.port, "/metrics")[0] == 200
