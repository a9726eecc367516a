"""The shorter pages of frameworks, done as they say: the page has its script tag and its token, a report is pushed."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.docs.written import Written
from tests.integrations.test_script_tag import Tags

RELOAD = " --reload"


@pytest.mark.parametrize("framework", ["litestar", "pyramid", "tornado"])
def test_a_page_is_done_as_it_says(framework: str, tmp_path: Path) -> None:
    written = Written(f"{framework}.md", tmp_path)
    with ExitStack() as stack:
        if framework == "tornado":  # a server of its own
            serve, application = written.commands("Two processes")
            stack.enter_context(written.gateway(serve))
            port = stack.enter_context(written.server(application.removesuffix(" 8888"), "{port}"))
            url = f"http://127.0.0.1:{port}"
        else:
            (command,) = written.commands("One process")
            url = stack.enter_context(written.gateway(command.removesuffix(RELOAD))).url
        with httpx.Client(base_url=url, follow_redirects=True) as browser:
            assert browser.get("/socket_auth_token").status_code == 401
            page = browser.get("/login", params={"name": "alice"})
            tag = next(told for name, told in Tags(page.text).tags if name == "script")
            assert "#alice" in (tag["data-since"] or "")
            assert browser.get(tag["data-token-url"] or "").json()["token"]
            assert browser.post("/reports").status_code == 204
        asked = "from messageflow import Flow; print(Flow().history('#alice').offset)"
        assert written.type(f'python -c "{asked}"') == "1\n"
