"""A headless Chromium, the demo as a real process, and people who open its page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from messageflow import Flow
from tests.browser.chromium import PATIENCE_MS, shared_chromium
from tests.support import API_KEY, TOKEN_SECRET, Running, running

EXAMPLE = Path(__file__).parents[2] / "examples" / "flask_jobs"
DEMO = ("demo",)
SPEAK_OF_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


class Enter(Protocol):
    def __call__(self, name: str) -> Page: ...


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with shared_chromium() as browser:
        yield browser


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(DEMO, tmp_path, cwd=EXAMPLE) as started:
        yield started


@pytest.fixture
def flow(server: Running) -> Flow:
    return Flow(server.url, api_key=API_KEY, token_secret=TOKEN_SECRET)


@pytest.fixture
def complaints() -> list[str]:
    """Whatever a console complained of: errors, dialogs, violations of the Content-Security-Policy."""
    return []


def forgive_cuts(complaints: list[str]) -> None:
    """Let pass what a browser says of each WebSocket that a cut network ended or kept from being made."""
    complaints[:] = [each for each in complaints if not each.startswith("WebSocket connection to ")]


@pytest.fixture
def enter(server: Running, browser: Browser, complaints: list[str]) -> Iterator[Enter]:
    """Open the page as somebody, in a browser of his own. A complaint fails the test."""
    opened: list[Page] = []

    def come_in(name: str) -> Page:
        opened.append(open_page(browser, complaints))
        log_in(opened[-1], server.url, name)
        return opened[-1]

    yield come_in
    leave(opened, complaints)


def leave(pages: Sequence[Page], complaints: Sequence[str]) -> None:
    """Close pages that complained of nothing. What Chromium says of a link that leaving interrupts is no complaint."""
    for page in pages:
        if not page.is_closed():
            page.evaluate("0")  # what it said before has arrived when this is answered
    heard = [*complaints]
    for page in pages:
        page.context.close()
    assert heard == []


def open_page(browser: Browser, complaints: list[str]) -> Page:
    """Open an empty page in a new context and note its complaints."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(SPEAK_OF_VIOLATIONS)
    page = context.new_page()

    def refuse(dialog: Dialog) -> None:
        complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.extend([said.text] if said.type in ("error", "warning") else []))
    page.on("dialog", refuse)
    return page


def log_in(page: Page, url: str, name: str) -> None:
    """Type a name and wait until the page is connected."""
    page.goto(url)
    page.fill("#name", name)
    page.click("#loginForm button")
    expect(page.locator("#connected")).to_have_text("Online")
