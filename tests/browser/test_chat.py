"""The ancestors' chat: two browsers at two gateways, one Redis between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.brokers.redis.servers import Server
from tests.browser.conftest import open_page
from tests.ports import free_port
from tests.support import Running, running

pytestmark = pytest.mark.browser
EXAMPLE = Path(__file__).parents[2] / "examples" / "chat_redis"


def start(server: Server, directory: Path, port: int) -> AbstractContextManager[Running]:
    command = ("run", "app:app", "--config", "messageflow.toml", "--broker", server.url)
    return running(command, directory, cwd=EXAMPLE, port=port)


@pytest.fixture
def gateways(own_server: Server, tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    with (
        start(own_server, tmp_path / "one", free_port()) as one,
        start(own_server, tmp_path / "two", free_port()) as two,
    ):
        yield one, two


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


def test_a_page_comes_back_at_a_new_gateway_and_has_missed_nothing(
    gateways: tuple[Running, Running], own_server: Server, browser: Browser, tmp_path: Path
) -> None:
    ann, bob = open_page(browser, []), open_page(browser, [])  # the console speaks of connections that fail, and may
    for page, name, gateway in ((ann, "ann", gateways[0]), (bob, "bob", gateways[1])):
        page.goto(f"{gateway.url}/?name={name}")
        expect(page.locator("#state")).to_have_text(f"connected as {name}")
    say(bob, "one")
    expect(ann.locator("#said li")).to_have_text(["bobone"])
    gateways[0].kill()
    expect(ann.locator("#state")).to_have_text("connecting as ann")
    for text in ("two", "three"):
        say(bob, text)
    expect(bob.locator("#said li")).to_have_text(["bobone", "bobtwo", "bobthree"])
    with start(own_server, tmp_path / "three", gateways[0].port):
        expect(ann.locator("#said li")).to_have_text(["bobone", "bobtwo", "bobthree"])
        for page in (ann, bob):
            page.context.close()
