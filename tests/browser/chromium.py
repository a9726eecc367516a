"""Owns the Playwright of this process and the Chromium that modules share; knows nothing of what pages show.

Both take more than a second of a core to start, so they go on from one module to the next, each page in a context of
its own. They end before a test without a browser, for while Playwright runs, no asyncio test can.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000  # for a machine that does much else; no test waits this long when all is well


class Shared:
    """What is running now, if anything is."""

    playwright: Playwright | None = None
    browser: Browser | None = None


def _playwright() -> Playwright:
    if Shared.playwright is None:
        expect.set_options(timeout=PATIENCE_MS)
        Shared.playwright = sync_playwright().start()
    return Shared.playwright


@contextmanager
def shared_chromium() -> Iterator[Browser]:
    """Give the Chromium of this process until the block ends, which closes all pages and leaves it running."""
    playwright, browser = _playwright(), Shared.browser
    if browser is None or not browser.is_connected():
        browser = Shared.browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    for context in browser.contexts:
        context.close()


@contextmanager
def own_chromium(*flags: str, without: Sequence[str] = ()) -> Iterator[Browser]:
    """Run another Chromium until the block ends.

    Args:
        flags: beside those of all.
        without: which of Playwright's flags it is not given.
    """
    browser = _playwright().chromium.launch(
        executable_path=CHROMIUM, args=[*FLAGS, *flags], ignore_default_args=list(without)
    )
    yield browser
    browser.close()


def end_chromium() -> None:
    """End what is running."""
    playwright, browser = Shared.playwright, Shared.browser
    Shared.playwright = Shared.browser = None
    if browser is not None and browser.is_connected():
        browser.close()
    if playwright is not None:
        playwright.stop()
