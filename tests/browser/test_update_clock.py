"""The ancestors' update clock: data in the message, times by the clock of who looks, and a server that goes away."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.starting import example
from tests.ports import free_port

pytestmark = pytest.mark.browser
ZONES = ("America/New_York", "Asia/Tokyo")


def test_an_update_reaches_every_page_in_one_hop_and_a_reload_shows_it(browser: Browser, tmp_path: Path) -> None:
    requested: list[str] = []
    with example("update_clock", tmp_path, port=free_port()) as server:
        here, there = (browser.new_context(timezone_id=zone, locale="en-GB").new_page() for zone in ZONES)
        for page in (here, there):
            page.goto(server.url)
            expect(page.locator("#state")).to_have_text("live")
        there.on("request", lambda request: requested.append(request.url))
        before = datetime.now().astimezone()
        here.click("#now")
        for page, zone in ((here, ZONES[0]), (there, ZONES[1])):
            expect(page.locator("dd").first).to_have_text(re.compile(r"\d\.\d\d"))
            minutes = {f"{each.astimezone(ZoneInfo(zone)):%H:%M}" for each in (before, datetime.now().astimezone())}
            expect(page.locator("#when")).to_have_text(re.compile(f"since the update of ({'|'.join(minutes)}):.."))
            expect(page.locator("#ago")).to_have_text(re.compile(r"^\d+:\d\d$"))
            told, over = (int(part) for part in page.locator("#ago").inner_text().split(":"))
            assert 60 * told + over <= (datetime.now().astimezone() - before).total_seconds() + 1
        assert requested == []  # the data was in the message
        there.reload()
        expect(there.locator("#when")).to_contain_text("since the update of")
    for page in (here, there):
        expect(page.locator("#state")).to_have_text("the server is away")
    with example("update_clock", tmp_path, port=server.port):
        for page in (here, there):
            page.evaluate("dispatchEvent(new Event('online'))")  # spares the wait for its next attempt
            expect(page.locator("#state")).to_have_text("live")
            page.context.close()
