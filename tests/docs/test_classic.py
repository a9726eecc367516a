"""docs/classic.md: its application and its page, as they were written for baselayer, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from messageflow import Flow
from tests.docs.written import Written
from tests.support import API_KEY, TOKEN_SECRET

pytestmark = pytest.mark.browser

KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}


def test_its_page_gets_in_hears_and_comes_back_by_itself(tmp_path: Path, page: Page) -> None:
    written = Written("classic.md", tmp_path)
    (command,) = written.commands("An application")
    with written.gateway(command, **KEYS) as gateway:
        page.goto(gateway.url + "/?user=7")
        state, heard = page.locator("#websocketStatus"), page.locator("#heard")
        expect(state).to_have_attribute("title", "WebSocket is connected & authenticated")
        page.request.post(f"{gateway.url}/sources/ZTF21")
        both = 'skyportal/REFRESH_SOURCE {"obj_key":"ZTF21"}skyportal/FETCH_NOTIFICATIONS {}'
        expect(heard).to_have_text(both)
        page.evaluate(
            "window.states = []; new MutationObserver(() => states.push(websocketStatus.title)).observe("
            "websocketStatus, { attributes: true })"
        )
        flow = Flow(gateway.url, api_key=API_KEY)
        page.evaluate('document.cookie = "auth_token=stale; path=/; SameSite=Strict"')
        flow.disconnect("7")
        page.wait_for_function("states.length >= 3")
        expect(state).to_have_attribute("title", "WebSocket is connected & authenticated")
        assert page.evaluate("states")[0] == "WebSocket is disconnected"
        flow.push("7", "LAST")
        expect(heard).to_have_text(both + "LAST null")
