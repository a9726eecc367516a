"""Each refusal that a browser cannot read is one line of the log, with what would have let it in."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.asking import UPGRADE, asked, get, upgrade
from tests.support import Running, running


def said(gateway: Running, event: str) -> dict[str, object]:
    """End the gateway, whose log is then whole, and return the one line of that event."""
    gateway.terminate()
    gateway.release()
    (line,) = gateway.events(event)
    assert line["level"] == "warning"
    return line


@pytest.mark.parametrize(
    ("flags", "origin", "host"),
    [
        ([], "https://app.example.com", "push.example.com"),
        (["--allowed-origins", "https://other.example.com"], "https://app.example.com", "push.example.com"),
        (["--workers", "2"], "http://localhost:3000", "push.example.com"),
    ],
)
def test_a_refused_origin_is_told_with_host_and_option(
    tmp_path: Path, flags: list[str], origin: str, host: str
) -> None:
    with running(["serve", "--broker", "memory", *flags], tmp_path) as gateway:
        assert upgrade(gateway.port, Host=host, Origin=origin) == 403
        line = said(gateway, "origin_refused")
    assert (line["origin"], line["host"], line["address"]) == (origin, host, "127.0.0.1")
    option = str(line["option"]).split()
    with running(["serve", "--broker", "memory", *option], tmp_path) as gateway:
        assert upgrade(gateway.port, Host=host, Origin=origin) == 101
        assert upgrade(gateway.port, Host=host, Origin=f"http://{host}") == 101


def test_in_development_a_name_that_leads_here_is_told_and_may_be_let_in(tmp_path: Path) -> None:
    flags = ["serve", "--dev", "--broker", "memory"]
    with running(flags, tmp_path, keys=False) as gateway:
        name = f"mine.test:{gateway.port}"
        assert upgrade(gateway.port, Host=name, Origin="http://localhost:5173") == 403
        line = said(gateway, "origin_refused")
    assert (line["origin"], line["host"]) == ("http://localhost:5173", name)
    with running([*flags, *str(line["option"]).split()], tmp_path, keys=False) as gateway:
        assert upgrade(gateway.port, Host=f"mine.test:{gateway.port}", Origin="http://localhost:5173") == 101


def test_a_program_that_sends_no_origin_where_one_is_required_is_told(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory", "--require-origin"], tmp_path) as gateway:
        assert upgrade(gateway.port) == 403
        assert said(gateway, "origin_refused")["option"] == "--no-require-origin"


def test_a_flood_of_refusals_is_few_lines(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path) as gateway:
        for number in range(60):
            assert upgrade(gateway.port, Origin=f"https://{number}.example.com") == 403
        gateway.terminate()
        gateway.release()
        assert 1 <= len(gateway.events("origin_refused")) < 50


def test_a_request_without_its_upgrade_names_the_proxy(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path) as gateway:
        assert get(gateway.port, "/connection/websocket", Host="push.example.com")[0] == 426
        line = said(gateway, "not_upgraded")
    assert line["host"] == "push.example.com"
    assert "proxy_set_header Upgrade $http_upgrade" in str(line["option"])


def test_a_bad_upgrade_is_told_with_what_is_wrong(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path) as gateway:
        assert upgrade(gateway.port, Sec_WebSocket_Version="12") == 400
        assert "Sec-WebSocket-Version" in str(said(gateway, "bad_upgrade")["reason"])


def test_a_full_gateway_names_its_limit(tmp_path: Path) -> None:
    with (
        running(["serve", "--broker", "memory", "--connections-limit", "1"], tmp_path) as gateway,
        ExitStack() as open_,
    ):
        assert open_.enter_context(asked(gateway.port, "/connection/websocket", UPGRADE)).status == 101
        assert upgrade(gateway.port) == 503
        assert said(gateway, "refused_full")["option"] == "--connections-limit, more than 1"


def test_too_many_arrivals_name_their_limit(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory", "--arrivals-limit", "1"], tmp_path) as gateway, ExitStack() as open_:
        assert open_.enter_context(asked(gateway.port, "/connection/websocket", UPGRADE)).status == 101
        assert upgrade(gateway.port) == 503
        assert said(gateway, "refused_busy")["option"] == "--arrivals-limit, more than 1"
