"""The printed address of a gateway that runs alone answers with a page, and every path that stands there is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from messageflow.version import VERSION
from tests.gateway.asking import asked, get
from tests.support import API_KEY, TOKEN_SECRET, running


@pytest.mark.parametrize("flags", [(), ("--base-path", "/own"), ("--workers", "2")])
def test_the_printed_address_answers_with_a_page(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with running(["serve", "--broker", "memory", *flags], tmp_path) as started:
        with asked(started.port, "/") as response:
            page = response.read().decode()
            assert response.status == 200
            assert response.getheader("content-type") == "text/html; charset=utf-8"
            assert "default-src 'none'" in str(response.getheader("content-security-policy"))
        assert "A messageflow gateway runs here" in page
        links = re.findall(r'href="([^"]+)"', page)
        base = "/own/" if "/own" in flags else "/messageflow/"
        assert links == [f"{base}{name}" for name in ("health", "ready", "metrics")]
        assert [get(started.port, link)[0] for link in links] == [200, 200, 200]
        paths = re.findall(r"<code>(/[a-z./]+)", page)
        assert paths == ["/messageflow.js", "/connection/websocket", f"{base}api/", "/api/"]
        assert get(started.port, paths[0])[0] == 200
        assert get(started.port, paths[1])[0] == 426
        for secret in (API_KEY, TOKEN_SECRET, VERSION, str(tmp_path)):
            assert secret not in page


def test_what_is_not_there_is_still_not_found(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path) as started:
        assert get(started.port, "/index.html")[0] == 404
        with asked(started.port, "/", method="POST") as response:
            assert response.status == 405


def test_the_documents_and_commands_it_names_exist() -> None:
    root = Path(__file__).parents[2]
    assert (root / "docs" / "tutorial.md").exists()
