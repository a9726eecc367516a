"""A page that is made before a push and connects after it: what it is told, and that it misses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page

from tests.brokers.redis.servers import Server
from tests.browser.chromium import PATIENCE_MS
from tests.browser.pages import Site, site

pytestmark = pytest.mark.browser

BROKERS = {"memory": ("--broker", "memory"), "embedded": (), "workers": ("--workers", "2")}


@pytest.fixture(params=[*BROKERS, "redis"], scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A shop for each broker; each test has users of its own."""
    directory = tmp_path_factory.mktemp("shop")
    with ExitStack() as stack:
        arguments = BROKERS.get(request.param)
        if arguments is None:
            redis = Server(directory)
            stack.callback(redis.stop)
            arguments = ("--broker", f"redis://127.0.0.1:{redis.port}")
        yield stack.enter_context(site(directory, arguments=arguments))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def test_a_page_made_before_a_push_gets_it_and_what_follows_once(shop: Site, page: Page) -> None:
    shop.flow.push("alice", "note", "before the page was made")
    address = shop.page("page", tokenUrl="/token/alice", since=shop.flow.position("alice"))
    shop.flow.push("alice", "note", 1)
    shop.flow.push("bob", "note", "not hers")
    shop.flow.broadcast("note", 2)
    page.goto(address)
    page.wait_for_function("flow.state === 'connected'")
    shop.flow.push("alice", "note", 3)
    page.wait_for_function("heard.some(([payload]) => payload === 3)")
    assert sorted(page.evaluate("heard")) == [[1, True], [2, True], [3, False]]
    assert page.evaluate("errors") == []


def test_a_user_who_was_never_pushed_to_has_a_position_too(shop: Site, page: Page) -> None:
    address = shop.page("page", tokenUrl="/token/carol", since=shop.flow.position("carol"))
    shop.flow.push("carol", "note", "the first of all")
    page.goto(address)
    page.wait_for_function("heard.length")
    assert page.evaluate("heard") == [["the first of all", True]]


def test_a_position_of_somebody_else_shows_nothing_of_theirs(shop: Site, page: Page) -> None:
    address = shop.page("page", tokenUrl="/token/erin", since=shop.flow.position("dora"))
    shop.flow.push("dora", "note", "hers")
    page.goto(address)
    page.wait_for_function("flow.state === 'connected'")
    shop.flow.push("erin", "note", "his")
    page.wait_for_function("heard.length")
    assert page.evaluate("heard") == [["his", False]]


def test_without_a_position_a_page_gets_what_is_pushed_from_then_on(shop: Site, page: Page) -> None:
    shop.flow.push("frank", "note", "before")
    page.goto(shop.page(tokenUrl="/token/frank", since=None))
    page.wait_for_function("flow.state === 'connected'")
    shop.flow.push("frank", "note", "after")
    page.wait_for_function("heard.length")
    assert page.evaluate("heard") == [["after", False]]
