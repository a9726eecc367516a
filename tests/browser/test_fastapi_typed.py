"""Messages as classes: FastAPI pushes them and is asked by them, and the page is compiled with their types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import leave, open_page
from tests.browser.starting import EXAMPLES, copy_example, example, install_packages
from tests.support import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]  # npm installs its packages, once a checkout
HERE = "examples"  # as in the repository, for the client's types are beside that


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "client").symlink_to(EXAMPLES.parent / "client")
    install_packages(copy_example("fastapi_typed", tmp_path / HERE))
    with example("fastapi_typed", tmp_path / HERE) as started:
        yield started


def test_typed_messages_reach_their_page_and_its_types_are_those_of_python(
    server: Running, browser: Browser, tmp_path: Path
) -> None:
    complaints: list[str] = []
    ann, bob = open_page(browser, complaints), open_page(browser, complaints)
    for page in (ann, bob):
        page.goto(server.url)
        expect(page.locator("#state")).to_have_text("connected")
    ann.fill("#title", "Light curves")
    ann.press("#title", "Enter")
    expect(ann.locator("#reports li")).to_have_text(["Light curves1200 words"])
    ann.fill("#title", "Spectra")
    ann.press("#title", "Enter")
    expect(ann.locator("#notice")).to_have_text("“Spectra” was not written: one word is no title.")
    ann.reload()
    expect(ann.locator("#reports li")).to_have_count(1)
    ann.fill("#search", "spectra")
    expect(ann.locator("#reports li")).to_have_count(0)
    expect(bob.locator("#reports li")).to_have_count(0)
    leave((ann, bob), complaints)
    written = (tmp_path / HERE / "fastapi_typed" / "src" / "messages.ts").read_text()
    assert written == (EXAMPLES / "fastapi_typed" / "src" / "messages.ts").read_text()
