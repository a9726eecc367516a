"""The article's page: a Redux store that Python dispatches into, and a card that is submitted and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import leave, open_page
from tests.browser.starting import copy_example, example, install_packages
from tests.support import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]  # npm installs its packages, once a checkout


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    install_packages(copy_example("redux", tmp_path))
    with example("redux", tmp_path) as started:
        yield started


def test_python_dispatches_into_the_stores_of_pages(server: Running, browser: Browser) -> None:
    complaints: list[str] = []
    ann, bob = open_page(browser, complaints), open_page(browser, complaints)
    for page in (ann, bob):
        page.goto(server.url)
        expect(page.locator("#connection")).to_have_text("connected")
    ann.click("#toggle")
    for page in (ann, bob):
        expect(page.locator("#toggle")).to_have_attribute("aria-checked", "true")
    for number in ("4242 4242 4242 4242", "1234 5678 9012 3456"):
        ann.fill("#card input", number)
        ann.press("#card input", "Enter")
    expect(ann.locator("#cards li")).to_have_text(["•••• 3456 checking", "•••• 4242 checking"])
    ann.reload()  # forgets nothing: the new page begins with what Python knows
    expect(ann.locator("#toggle")).to_have_attribute("aria-checked", "true")
    expect(ann.locator("#cards li")).to_have_text(["•••• 3456 refused", "•••• 4242 accepted"])
    expect(ann.locator("#notifications li")).to_have_count(2)
    ann.locator("#notifications button").first.click()
    expect(ann.locator("#notifications li")).to_have_count(1)
    expect(ann.locator("#log li").first).to_contain_text("notifications/dismissed")
    assert bob.locator("#cards li, #notifications li").all_inner_texts() == []  # it was ann's card
    leave((ann, bob), complaints)
