"""The demo in a real browser: what the README promises a person sees."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from messageflow import Flow
from tests.support import API_KEY, TOKEN_SECRET, Running, running

pytestmark = pytest.mark.browser

EXAMPLE = Path(__file__).parents[2] / "examples" / "flask_jobs"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class LogIn(Protocol):
    def __call__(self, name: str) -> Page: ...


ARGUMENTS = ["run", "app:app", "--config", "messageflow.toml"]


@pytest.fixture(scope="module")  # no longer: while Playwright runs, no asyncio test can
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(ARGUMENTS, tmp_path, cwd=EXAMPLE) as started:
        yield started


@pytest.fixture
def flow(server: Running) -> Flow:
    return Flow(server.url, api_key=API_KEY, token_secret=TOKEN_SECRET)


@pytest.fixture
def log_in(server: Running, browser: Browser) -> Iterator[LogIn]:
    """Open the page as somebody, in a browser of his own. Whatever the console complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def enter(name: str) -> Page:
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.extend([said.text] if said.type == "error" else []))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        page.goto(server.url)
        page.fill("#name", name)
        page.click("#loginForm button")
        expect(page.locator("#connected")).to_have_text("Online")
        return page

    yield enter
    for context in contexts:
        context.close()
    # A link that the test cut on purpose is the one thing a browser reports by itself.
    assert [text for text in complaints if "WebSocket connection to" not in text] == []


def test_the_state_is_shown_in_words_and_colour_and_for_machines(log_in: LogIn) -> None:
    page = log_in("alice")
    expect(page.locator("#authenticated")).to_have_text("Yes")
    dot = page.locator("#websocketStatus")
    expect(dot).to_have_attribute("data-state", "authenticated")
    expect(dot).to_have_css("background-color", "rgb(0, 128, 0)")
    page.click("#cut")
    expect(page.locator("#connected")).to_have_text("Offline")
    expect(dot).to_have_attribute("data-state", "disconnected")
    expect(dot).to_have_css("background-color", "rgb(255, 0, 0)")


@pytest.mark.parametrize(
    ("content", "lines", "words"),
    [(b"", 0, 0), (b"one two\ntwo\n" * 200_000, 400_000, 600_000), (bytes(range(256)) * 5000, 5000, None)],
    ids=["empty", "long", "binary"],
)
def test_a_file_is_read_in_the_background_and_its_result_is_pushed(
    content: bytes, lines: int, words: int | None, log_in: LogIn
) -> None:
    page = log_in("alice")
    page.set_input_files("#file", {"name": "mine.txt", "mimeType": "text/plain", "buffer": content})
    result = page.locator("#jobs .what").first
    expect(result).to_contain_text(hashlib.sha256(content).hexdigest(), timeout=20_000)
    expect(result).to_contain_text(f"{len(content):,} bytes, {lines:,} lines")
    if words is not None:
        expect(result).to_contain_text(f"{words:,} words")
    expect(page.locator("#jobs progress").first).to_have_attribute("max", "100")
    assert page.locator("#jobs progress").first.evaluate("bar => bar.value") == 100


def test_two_users_see_what_is_theirs_and_nothing_else(log_in: LogIn) -> None:
    alice, bob = log_in("alice"), log_in("bob")
    alice.set_input_files("#file", {"name": "hers.txt", "mimeType": "text/plain", "buffer": b"secret"})
    bob.set_input_files("#file", {"name": "his.txt", "mimeType": "text/plain", "buffer": b"other"})
    for page, own, foreign in ((alice, "hers.txt", "his.txt"), (bob, "his.txt", "hers.txt")):
        expect(page.locator("#jobs")).to_contain_text("SHA-256")
        expect(page.locator("#incoming")).to_contain_text(own)
        assert foreign not in page.inner_text("body")


def test_a_message_reaches_every_open_page_as_text(log_in: LogIn) -> None:
    alice, bob = log_in("alice"), log_in("bob")
    text = "<img src=x onerror=\"alert('run')\"> & <b>bold</b>"
    alice.fill("#message", text)
    alice.click("#messageForm button")
    for page in (alice, bob):
        expect(page.locator("#incoming .text").first).to_have_text(f"alice: {text}")
        assert page.locator("#incoming img, #incoming b").count() == 0
        expect(page.locator("#ago")).to_contain_text("ago")


def test_the_count_of_people_rises_and_falls(log_in: LogIn) -> None:
    alice = log_in("alice")
    expect(alice.locator("#people")).to_have_text("1")
    bob = log_in("bob")
    expect(alice.locator("#people")).to_have_text("2")
    bob.context.close()
    expect(alice.locator("#people")).to_have_text("1")


def test_what_is_pushed_while_the_connection_is_cut_arrives_once_and_in_order(log_in: LogIn, flow: Flow) -> None:
    page = log_in("alice")
    flow.push("alice", "note", {"text": "before"})
    expect(page.locator("#incoming li")).to_have_count(1)
    page.click("#cut")
    expect(page.locator("#connected")).to_have_text("Offline")
    for number in range(5):
        flow.push("alice", "note", {"text": f"missed {number}"})
    page.click("#again")
    expect(page.locator("#incoming .text")).to_have_text([*[f"missed {n}" for n in range(4, -1, -1)], "before"])
    expect(page.locator("#missed")).to_be_hidden()


def test_a_page_comes_back_by_itself_after_the_gateway_was_killed(tmp_path: Path, browser: Browser) -> None:
    page = browser.new_page()
    with running(ARGUMENTS, tmp_path, cwd=EXAMPLE, keys=False) as first:
        page.goto(first.url)
        page.fill("#name", "alice")
        page.click("#loginForm button")
        expect(page.locator("#connected")).to_have_text("Online")
        first.kill()
        expect(page.locator("#connected")).to_have_text("Offline")
    with running(ARGUMENTS, tmp_path, cwd=EXAMPLE, port=first.port, keys=False):
        expect(page.locator("#connected")).to_have_text("Online", timeout=30_000)
        expect(page.locator("#missed")).to_be_visible()  # its streams ended with it, and the page is told
    page.close()
