"""A Celery task's progress bar, which survives a reload of the page and is its owner's alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import leave, open_page
from tests.browser.starting import example

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
]  # three processes start, after Django has made its database


def wait_beyond(page: Page, percent: int) -> int:
    """Return how far the bar is once it is further than that."""
    page.wait_for_function(f"document.querySelector('progress')?.value > {percent}")
    value: int = page.evaluate("document.querySelector('progress').value")
    return value


def test_the_bar_of_a_task_survives_a_reload(browser: Browser, tmp_path: Path) -> None:
    complaints: list[str] = []
    with example("django_celery", tmp_path) as site:
        ann, bob = open_page(browser, complaints), open_page(browser, complaints)
        for page in (ann, bob):
            page.goto(site.url)
            expect(page.locator("#state")).to_have_text("connected")
        ann.click("button")
        reached = wait_beyond(ann, 0)
        ann.reload()
        assert ann.evaluate("document.querySelector('progress').value") >= reached  # as the database has it, at once
        wait_beyond(ann, reached)  # and it goes on
        expect(ann.locator("#jobs li")).to_have_text(["Task 1 done"])
        expect(bob.locator("#jobs li")).to_have_count(0)
        leave((ann, bob), complaints)
