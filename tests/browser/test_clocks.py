"""Clocks in a real browser: people set the wall clock, and it must move nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import open_page
from tests.browser.pages import Site, site, until

pytestmark = pytest.mark.browser

HOURS = 3 * 3_600_000
SET_THE_CLOCK = "by => { const real = Date.now.bind(Date); Date.now = () => real() + by; }"


@pytest.fixture(scope="module")
def running_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("shop"), 'pong_timeout = "2500ms"', ping_interval="3s") as started:
        yield started


@pytest.fixture
def shop(running_shop: Site) -> Site:
    """The shop as it was when it began; the page of the test before has gone and asks for no token."""
    running_shop.ttl, running_shop.asked = Site.TTL, 0
    return running_shop


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = open_page(browser, [])
    yield page
    page.context.close()


@pytest.mark.parametrize("by", [-HOURS, 0, HOURS])
def test_a_link_that_falls_silent_is_found_out_whatever_becomes_of_the_clock(by: int, page: Page, shop: Site) -> None:
    page.goto(shop.page(tokenUrl="/token/alice"))
    page.wait_for_function("flow.state === 'connected'")
    page.evaluate(SET_THE_CLOCK, by)
    os.kill(shop.gateway.process.pid, signal.SIGSTOP)  # a black hole: the kernel acknowledges, nobody answers
    try:
        page.wait_for_function("flow.state === 'connecting'")
        assert page.evaluate("flow.detail.reason") == "no data from the server"
    finally:
        os.kill(shop.gateway.process.pid, signal.SIGCONT)
    page.wait_for_function("flow.state === 'connected'")


@pytest.mark.parametrize("by", [-HOURS, HOURS])
def test_a_clock_that_is_set_ends_no_link_and_no_token(by: int, page: Page, shop: Site) -> None:
    shop.ttl = 8
    page.add_init_script(f"({SET_THE_CLOCK})({by})")
    page.goto(shop.page(tokenUrl="/token/alice"))
    page.wait_for_function("flow.state === 'connected'")
    page.evaluate(SET_THE_CLOCK, -2 * by)
    page.evaluate("dispatchEvent(new Event('online'))")
    until(lambda: shop.asked == 3, "the token was not renewed twice")
    assert page.evaluate("states") == [["connecting", 0], ["connected", 0]]


def test_a_network_that_changed_without_a_word_is_found_out_when_the_browser_speaks_of_it(
    page: Page, tmp_path: Path
) -> None:
    with site(tmp_path, ping_interval="60s") as shop:
        page.goto(shop.page(tokenUrl="/token/alice"))
        page.wait_for_function("flow.state === 'connected'")
        os.kill(shop.gateway.process.pid, signal.SIGSTOP)
        try:
            page.evaluate("dispatchEvent(new Event('online'))")
            page.wait_for_function("flow.state === 'connecting'")
            assert page.evaluate("flow.detail.reason") == "no answer from the server"
        finally:
            os.kill(shop.gateway.process.pid, signal.SIGCONT)
        page.wait_for_function("flow.state === 'connected'")
