"""A token endpoint that hangs costs a page none of the six connections a browser has for one host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import open_page
from tests.browser.pages import Site, site, until

pytestmark = pytest.mark.browser

CONNECTIONS = 6  # of a browser to one host
MORE = f"""
const options = {{ tokenUrl: "/token/alice", onError() {{}} }};
const more = Array.from({{ length: {CONNECTIONS - 1} }}, () => messageflow.connect(options));
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as started:
        yield started


@pytest.fixture
def page(shop: Site, browser: Browser) -> Iterator[Page]:
    """A page whose requests for tokens take all connections there are."""
    page = open_page(browser, [])
    shop.hang = True
    page.goto(shop.page(tokenUrl="/token/alice"))
    page.add_script_tag(content=MORE)
    until(lambda: shop.hanging == CONNECTIONS, "the browser did not ask")
    yield page
    page.context.close()


def fetch(page: Page) -> None:
    """Make a request of the page's own."""
    assert page.evaluate("fetch('/own').then((answer) => answer.text())") == "an answer"


def test_what_is_given_up_is_let_go(page: Page, shop: Site) -> None:
    page.evaluate("[flow, ...more].forEach((each) => each.close())")
    until(lambda: shop.hanging == 0, "requests that nobody waits for")
    fetch(page)
    assert page.evaluate("errors") == []


def test_an_endpoint_that_hangs_is_asked_again_and_never_more_than_once_at_a_time(page: Page, shop: Site) -> None:
    # A browser with six connections can ask a seventh time only if one was let go.
    until(lambda: shop.asked > CONNECTIONS, "it was not asked again")
    shop.hang = False
    page.wait_for_function("[flow, ...more].every((each) => each.state === 'connected')")
    until(lambda: shop.hanging == 0, "requests that nobody waits for")
    fetch(page)
