"""The life of a page in a real browser: left, kept for the back button, gone; in many tabs at once.

The gateway pings once a minute, so whatever is found out sooner was said by the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page

from tests.browser.chromium import PATIENCE_MS, own_chromium
from tests.browser.pages import Site, site, until

pytestmark = pytest.mark.browser

CHANNELS: dict[str, dict[str, str]] = {"room": {}}


@pytest.fixture(scope="module")
def keeping() -> Iterator[Browser]:
    """A browser that keeps pages for the back button, as people's do and Playwright's does not."""
    with own_chromium(without=["--disable-back-forward-cache"]) as browser:
        yield browser


@pytest.fixture
def context(keeping: Browser) -> Iterator[BrowserContext]:
    context = keeping.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture(scope="module", params=[("--broker", "memory"), ("--workers", "2")], ids=["memory", "workers"])
def running_shop(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("shop"), arguments=request.param) as started:
        yield started


@pytest.fixture
def shop(running_shop: Site) -> Site:
    until(lambda: running_shop.here() == 0, "somebody of the test before is there")
    return running_shop


def enter(page: Page, shop: Site, title: str = "page", user: str = "alice") -> None:
    """Open a page as somebody and wait until it is in the room."""
    page.goto(shop.page(title, tokenUrl=f"/token/{user}", channels=CHANNELS))
    wait_until_in(page)


def wait_until_in(page: Page) -> None:
    page.wait_for_function("flow.subscribe('room').state === 'subscribed'")


def go_back(page: Page) -> None:
    """Press the back button; a page that was kept loads nothing, so there is no load to wait for."""
    page.evaluate("void setTimeout(() => history.back())")
    page.wait_for_function("document.title === 'page'")


def test_a_page_that_is_left_is_gone_at_once_and_resumes_by_the_back_button(
    shop: Site, context: BrowserContext
) -> None:
    page = context.new_page()
    enter(page, shop)
    assert shop.here() == 1
    page.goto(f"{shop.url}/elsewhere")
    until(lambda: shop.here() == 0, "a ghost")
    shop.flow.push("alice", "note", "missed")
    go_back(page)
    wait_until_in(page)
    assert page.evaluate("shown") == [False, True]  # it was kept, not loaded anew
    shop.flow.push("alice", "note", "live")
    page.wait_for_function("heard.length === 2")
    assert page.evaluate("heard") == [["missed", True], ["live", False]]
    assert shop.here() == 1


def test_a_page_that_crashes_is_gone_at_once(shop: Site, context: BrowserContext) -> None:
    page = context.new_page()
    enter(page, shop)
    with pytest.raises(Error, match="chrome://crash"):
        page.goto("chrome://crash")
    until(lambda: shop.here() == 0, "a ghost")


def test_eight_tabs_that_change_pages_leave_no_ghosts_and_meet_no_limit(
    tmp_path: Path, context: BrowserContext
) -> None:
    with site(tmp_path, "connections_per_user = 16") as shop:
        tabs = [context.new_page() for _ in range(8)]
        for tab in tabs:
            enter(tab, shop, "0")
        for turn in range(1, 8):
            for tab in tabs:
                enter(tab, shop, f"{turn}")
                assert tab.evaluate("states.filter(([, code]) => code)") == []
        until(lambda: shop.here() == 8, "ghosts")
        for tab in tabs:
            assert tab.evaluate("flow.state") == "connected"
