"""docs/fresh-page.md: its application, and a push made while its page is on the way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from messageflow import Flow
from tests.docs.written import Written
from tests.support import API_KEY, TOKEN_SECRET, Running

pytestmark = pytest.mark.browser

KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}


def held_page(page: Page, gateway: Running, push: list[int]) -> None:
    """Open the page; what is pushed is pushed when it has been made and before its script runs."""
    flow = Flow(gateway.url, api_key=API_KEY)

    def late(route: Route) -> None:
        for number in push:
            flow.push("alice", "report/ready", {"id": number})
        route.continue_()

    page.route("**/messageflow.js", late)
    page.goto(f"{gateway.url}/?user=alice")


def test_a_page_that_says_where_it_begins_misses_nothing(tmp_path: Path, page: Page) -> None:
    written = Written("fresh-page.md", tmp_path)
    written.change("app.py", "reports = []", "reports = [1]")
    with written.gateway("messageflow run app:app", **KEYS) as gateway:
        held_page(page, gateway, [1, 2])
        expect(page.locator("#reports")).to_have_text("report 1report 2")


def test_a_page_that_does_not_begins_where_it_connects(tmp_path: Path, page: Page) -> None:
    written = Written("fresh-page.md", tmp_path)
    written.change("app.py", "    since: {{ since | tojson }},\n", "")
    with written.gateway("messageflow run app:app", **KEYS) as gateway:
        held_page(page, gateway, [1])
        page.wait_for_function("flow.state === 'connected'")
        Flow(gateway.url, api_key=API_KEY).push("alice", "report/ready", {"id": 2})
        expect(page.locator("#reports")).to_have_text("report 2")


def test_a_page_is_shown_when_the_gateway_is_away(tmp_path: Path) -> None:
    written = Written("fresh-page.md", tmp_path)
    written.environment |= {**KEYS, "MESSAGEFLOW_URL": "http://127.0.0.1:9"}
    program = "import app; print(app.app.test_client().get('/?user=alice').text)"
    shown = written.type(f'python -c "{program}"')
    assert "since: null" in shown


def test_what_the_page_carries_is_plain_json(tmp_path: Path) -> None:
    written = Written("fresh-page.md", tmp_path)
    with written.gateway("messageflow run app:app", **KEYS) as gateway:
        flow = Flow(gateway.url, api_key=API_KEY)
        position = flow.position("alice")
        assert set(position) == {"#alice", "*"}
        assert json.loads(json.dumps(position)) == position
        flow.push("alice", "report/ready", {"id": 3})
        (newest,) = flow.history("#alice", limit=10, reverse=True).publications
        assert newest.data["payload"] == {"id": 3}
    assert re.search(r'flow\.history\("#alice", limit=10, reverse=True\)', written.text)
