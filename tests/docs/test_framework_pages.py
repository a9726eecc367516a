"""The shorter pages of frameworks, done as they say, with a browser before them: a report is ordered, and heard of."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.docs.test_frameworks import order
from tests.docs.written import Written
from tests.integrations.test_script_tag import Tags

pytestmark = pytest.mark.browser

RELOAD = " --reload"


@pytest.mark.parametrize("framework", ["litestar", "pyramid", "tornado"])
def test_a_page_is_done_as_it_says(framework: str, tmp_path: Path, page: Page) -> None:
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
        order(page, url)
        tag = next(told for name, told in Tags(page.request.get(url).text()).tags if name == "script")
        assert "#alice" in (tag["data-since"] or "")
        asked = "from messageflow import Flow; print(Flow().history('#alice').offset)"
        assert written.type(f'python -c "{asked}"') == "1\n"
