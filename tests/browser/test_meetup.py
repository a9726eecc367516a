"""The ancestors' meetup page: a live count, and a city that reaches every browser."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import leave, open_page
from tests.support import Running, running

pytestmark = pytest.mark.browser
EXAMPLE = Path(__file__).parents[2] / "examples" / "meetup"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    with running(("run", "app:app"), tmp_path, cwd=EXAMPLE) as started:
        yield started


def test_everybody_sees_who_is_here_and_every_city(gateway: Running, browser: Browser) -> None:
    complaints: list[str] = []
    pages: list[Page] = []
    for number in (1, 2, 3):
        pages.append(open_page(browser, complaints))
        pages[-1].goto(gateway.url)
        for page in pages:
            expect(page.locator("#connected")).to_have_text(str(number))
    for page, city in ((pages[0], "Rome"), (pages[1], "<b>Oslo</b>")):
        page.fill("#city", city)
        page.press("#city", "Enter")
        for each in pages:
            expect(each.locator("#cities-list h3").first).to_have_text(city)
        expect(page.locator("#city")).to_have_value("")
    for left in (2, 1):
        pages.pop().context.close()
        for page in pages:
            expect(page.locator("#connected")).to_have_text(str(left))
    assert pages[0].locator("#cities-list h3").all_inner_texts() == ["<b>Oslo</b>", "Rome"]
    leave(pages, complaints)


def test_it_is_less_than_twenty_lines() -> None:
    text = (EXAMPLE / "app.py").read_text()
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    lines = [line for line in text.replace(docstring, "").splitlines() if line.strip(' "')]
    assert len(lines) < 20
