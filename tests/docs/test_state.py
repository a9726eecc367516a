"""docs/state.md: its application and page, while orders change at every moment that is a bad one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, Route, expect

from messageflow import Flow
from tests.browser.chromium import PATIENCE_MS
from tests.docs.written import Written
from tests.support import API_KEY, TOKEN_SECRET, Running

pytestmark = pytest.mark.browser

KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}


def send(gateway: Running, method: str, path: str) -> dict[str, object]:
    with urlopen(Request(f"{gateway.url}{path}", method=method), timeout=30) as answer:
        answered: dict[str, object] = json.load(answer)
    return answered


@contextmanager
def changing(gateway: Running) -> Iterator[None]:
    """Change orders all the time, until the block ends."""
    over = threading.Event()

    def change() -> None:
        for number in range(10_000):
            if over.is_set():
                return
            send(gateway, "POST", f"/orders/{number % 7}/dish-{number}")

    writer = threading.Thread(target=change)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def expect_all(page: Page, gateway: Running) -> None:
    """The page shows what the database has."""
    rows: list[dict[str, object]] = send(gateway, "GET", "/orders")["orders"]  # type: ignore[assignment]
    expect(page.locator("#orders li")).to_have_text([f"{row['id']} {row['dish']}" for row in rows])


def test_a_page_shows_what_the_database_has_whatever_comes_between(tmp_path: Path, page: Page) -> None:
    written = Written("state.md", tmp_path)
    with written.gateway("messageflow run app:app", **KEYS) as gateway:
        flow = Flow(gateway.url, api_key=API_KEY)
        asked: list[str] = []

        def look(route: Route) -> None:
            answer = route.fetch()
            asked.append(answer.text())
            route.fulfill(response=answer)

        page.route("**/orders", look)
        for number in range(7):
            send(gateway, "POST", f"/orders/{number}/bread")
        with changing(gateway):
            page.goto(f"{gateway.url}/?user=alice")
            expect(page.locator("#orders li")).to_have_count(7)
        expect_all(page, gateway)
        assert len(asked) == 1
        with changing(gateway):
            for _ in range(3):
                before = page.evaluate("flow.client")
                flow.disconnect("alice", code=3011)
                page.wait_for_function(f"flow.client !== {before!r} && flow.state === 'connected'", timeout=PATIENCE_MS)
        expect_all(page, gateway)
        assert len(asked) == 1, "the stream made up for it"
        page.evaluate("flow.close()")
        send(gateway, "POST", "/orders/1/soup")
        flow.history_remove("orders")
        with changing(gateway):
            page.evaluate("flow.connect()")
            page.wait_for_function("flow.state === 'connected'", timeout=PATIENCE_MS)
        expect_all(page, gateway)
        assert len(asked) == 2, "it did not"
