"""The chat of docs/from-channels.md before and after, each with two people before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.docs.written import CONSOLE, FILE, Written

pytestmark = pytest.mark.browser

BEFORE = 'CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}'
PORT = "--port {port}"


@pytest.fixture
def written(tmp_path: Path) -> Written:
    written = Written("from-channels.md", tmp_path)
    write(written, "Before")
    return written


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def talk(browser: Browser, page: Page) -> Iterator[Callable[..., None]]:
    """Lets two people say something, each at an address, which both hear."""
    other = browser.new_page()

    def talk(url: str, other_url: str) -> None:
        people = {page: url, other: other_url}
        for person, there in people.items():
            person.goto(there)
            expect(person.locator("button")).to_be_enabled()
        for number, person in enumerate(people):
            person.fill("#text", f"hello {number}")
            person.click("button")
            for each in people:
                expect(each.locator("#heard")).to_contain_text(f"hello {number}")

    yield talk
    other.close()


def write(written: Written, heading: str) -> None:
    section = written.text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    for name, text in FILE.findall(section):
        (written.directory / name).write_text(text)


def keep_consumers(written: Written) -> None:
    snippet = written.text.split("\n## Keep the consumers\n")[1].split("```python\n")[1].split("```")[0]
    written.change("site_settings.py", BEFORE, snippet.strip())


def commands(written: Written, heading: str) -> list[str]:
    """All that its consoles say to type, but for what installs."""
    section = written.text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line[2:] for console in CONSOLE.findall(section) for line in console.splitlines()]
    return [line for line in lines if not line.startswith("pip ")]


def test_before(written: Written, stack: ExitStack, talk: Callable[..., None]) -> None:
    (serve,) = commands(written, "Before")
    port = stack.enter_context(written.server(serve.removesuffix(" --port 8001"), PORT))
    talk(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}")


def test_consumers_are_kept(written: Written, stack: ExitStack, talk: Callable[..., None]) -> None:
    """In the gateway's process, and beside it below uvicorn."""
    keep_consumers(written)
    run, _, application, another = commands(written, "Keep the consumers")
    gateway = stack.enter_context(written.gateway(run))
    server, *_ = {each.partition(" --port ")[0] for each in (application, another)}
    port = stack.enter_context(written.server(server, PORT))
    talk(gateway.url, f"http://127.0.0.1:{port}")


def test_without_consumers(written: Written, stack: ExitStack, talk: Callable[..., None]) -> None:
    write(written, "Without consumers")
    for name in ("consumers.py", "site_asgi.py"):
        (written.directory / name).unlink()
    (run,) = commands(written, "Without consumers")
    gateway = stack.enter_context(written.gateway(run))
    talk(gateway.url, gateway.url)
