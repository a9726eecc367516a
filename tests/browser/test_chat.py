"""The ancestors' chat: two browsers at two gateways, one Redis between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.brokers.redis.conftest import Server
from tests.browser.conftest import open_page
from tests.support import Running, running

pytestmark = pytest.mark.browser
EXAMPLE = Path(__file__).parents[2] / "examples" / "chat_redis"


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    server = Server(tmp_path)
    flags = ("run", "app:app", "--config", "messageflow.toml", "--broker", server.url)
    with running(flags, tmp_path / "one", cwd=EXAMPLE) as one, running(flags, tmp_path / "two", cwd=EXAMPLE) as two:
        yield one, two
    server.stop()


def say(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.click("button")


def test_two_browsers_chat_through_redis(gateways: tuple[Running, Running], browser: Browser) -> None:
    ann, bob = open_page(browser, []), open_page(browser, [])
    ann.goto(f"{gateways[0].url}/?name=ann")
    bob.goto(f"{gateways[1].url}/?name=bob")
    for page, name in ((ann, "ann"), (bob, "bob")):
        expect(page.locator("#state")).to_have_text(f"connected as {name}")
    say(ann, "is anybody there?")
    expect(bob.locator("#said li")).to_have_text(["annis anybody there?"])
    say(bob, "<b>yes</b>")
    for page in (ann, bob):
        expect(page.locator("#said li")).to_have_text(["annis anybody there?", "bob<b>yes</b>"])
        page.context.close()
