"""A user with as many pages as they may have: the next one waits for its turn, and says so once."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import open_page
from tests.browser.pages import site, until

pytestmark = pytest.mark.browser


def test_a_page_too_many_says_so_once_and_comes_in_when_there_is_room(tmp_path: Path, browser: Browser) -> None:
    with site(tmp_path, "connections_per_user = 2") as shop:
        first, second, third = (open_page(browser, []) for _ in range(3))
        for page in (first, second):
            page.goto(shop.page(tokenUrl="/token/alice", channels={"room": {}}))
            page.wait_for_function("flow.state === 'connected'")
        third.goto(shop.page(tokenUrl="/token/alice", channels={"room": {}}))
        third.wait_for_function("errors.length > 0")
        third.evaluate("dispatchEvent(new Event('online'))")  # which ends a wait
        third.wait_for_function("states.filter(([state, code]) => state === 'connecting' && code).length > 1")
        assert third.evaluate("flow.state") == "connecting"
        assert third.evaluate("flow.detail.retryIn") >= 10_000
        first.context.close()
        third.wait_for_function("flow.state === 'connected'")
        [[code, message]] = third.evaluate("errors")
        assert code in (3404, 3504)
        assert "Too many connections" in message
        until(lambda: shop.here() == 2, "ghosts")
        for page in (second, third):
            page.context.close()
