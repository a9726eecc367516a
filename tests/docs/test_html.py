"""docs/html.md: its page in a browser; what it says of each library and each word."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from messageflow import Flow
from messageflow.core.html_push import SWAPS
from messageflow.dialects.html.renderings import RENDERINGS
from tests.browser.libraries import find_script, install_libraries
from tests.docs.written import ROOT, Written
from tests.support import API_KEY, TOKEN_SECRET

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
TEXT = (ROOT / "docs" / "html.md").read_text()
KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}


def test_its_page_gets_its_rows_escaped_and_none_twice(tmp_path: Path, page: Page) -> None:
    install_libraries()
    written = Written("html.md", tmp_path)
    (written.directory / "static").mkdir()
    for name in ("htmx.js", "ext/hx-sse.js"):
        shutil.copy(find_script(f"htmx4/dist/{name}"), written.directory / "static")
    (command,) = written.commands("A page")
    with written.gateway(command, **KEYS) as gateway:
        page.goto(f"{gateway.url}/?user=alice")
        for title in ("first", "<b>second</b>"):
            page.request.post(f"{gateway.url}/jobs", params={"user": "alice", "title": title})
        expect(page.locator("#jobs li")).to_have_text(["first", "<b>second</b>"])
        row, variables = "<li>third</li>", {"flow": Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)}
        exec(
            re.findall(r"^```python\n(from messageflow import Html\n.*?)^```", TEXT, re.M | re.S)[0],
            variables | {"row": row},
        )
        expect(page.locator("#jobs li")).to_have_text(["first", "<b>second</b>", "third"])


def test_every_library_and_every_word_is_there() -> None:
    assert set(re.findall(r"`(\w+)`", TEXT)) >= {*SWAPS, *RENDERINGS, "replace", "delete"}
