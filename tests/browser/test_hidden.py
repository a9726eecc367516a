"""Pages behind others in a real browser: frozen, and discarded. Of both the browser says nothing to the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.devtools import DevTools, devtools
from tests.browser.pages import Site, site, until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def running_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("shop")) as started:
        yield started


@pytest.fixture
def shop(running_shop: Site) -> Site:
    until(lambda: running_shop.here() == 0, "somebody of the test before is there")
    return running_shop


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[DevTools]:
    with devtools(tmp_path) as started:
        yield started


def test_a_frozen_page_is_gone_at_once_and_resumes_when_it_is_shown(shop: Site, browser: DevTools) -> None:
    tab = browser.open(url := shop.page(tokenUrl="/token/alice", channels={"room": {}}))
    until(lambda: shop.here() == 1, "it did not come in")
    browser.press(url, "Freeze")
    until(lambda: shop.here() == 0, "a ghost")
    shop.flow.push("alice", "note", "missed")
    tab.show()
    until(lambda: tab.evaluate("JSON.stringify(heard)") == '[["missed",true]]', "it did not resume")
    until(lambda: shop.here() == 1, "it did not come back")


def test_a_discarded_page_is_gone_at_once_and_another_when_it_is_shown(shop: Site, browser: DevTools) -> None:
    tab = browser.open(url := shop.page(tokenUrl="/token/alice", channels={"room": {}}))
    until(lambda: shop.here() == 1, "it did not come in")
    tab.evaluate("globalThis.mark = 1")
    tab.detach()
    browser.press(url, "Urgent Discard")
    until(lambda: shop.here() == 0, "a ghost")
    browser.find(url).show()
    until(lambda: shop.here() == 1, "it did not come back")
    assert browser.find(url).evaluate("globalThis.mark") is None
