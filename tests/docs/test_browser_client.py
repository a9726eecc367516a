"""docs/browser-client.md: its application, its page under its Content-Security-Policy, its worker, its tables.

What it says in TypeScript is compiled by client/scripts/types.mjs, and what it says of options is tried by
client/tests/options.test.ts.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from messageflow.gateway.client_script import CLIENT
from tests.docs.written import ROOT, Written
from tests.support import API_KEY, TOKEN_SECRET, Running

pytestmark = pytest.mark.browser

KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
JAVASCRIPT = re.compile(r"^```js\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written("browser-client.md", tmp_path)


@pytest.fixture
def gateway(written: Written) -> Iterator[Running]:
    (command,) = written.commands("A page and its script tag")
    with written.gateway(command, **KEYS) as started:
        yield started


def order(page: Page, gateway: Running, user: str) -> None:
    assert page.request.post(f"{gateway.url}/orders?user={user}").ok


def test_the_page_hears_pushes_and_what_is_said_and_counts_who_is_there(browser: Browser, gateway: Running) -> None:
    complaints: list[str] = []
    pages = {}
    for user in ("alice", "bob"):
        page = pages[user] = browser.new_context().new_page()
        page.on("console", lambda said: complaints.append(said.text))  # a Content-Security-Policy complains there
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{gateway.url}/?user={user}")
        expect(page.locator("#connected")).to_have_text("Online")
        expect(page.locator("#said")).to_contain_text(f"{user} is here")
    for page in pages.values():
        expect(page.locator("#count")).to_have_text("2")
    expect(pages["alice"].locator("#said li")).to_have_text(["alice is here", "bob is here"])
    order(pages["alice"], gateway, "alice")
    expect(pages["alice"].locator("#reports li")).to_have_text(["report 7"])
    expect(pages["bob"].locator("#reports li")).to_have_count(0)
    pages["bob"].context.close()
    expect(pages["alice"].locator("#count")).to_have_text("1")
    assert [each for each in complaints if "favicon" not in each and "404" not in each] == []
    pages["alice"].context.close()


def test_a_worker_goes_with_its_page_and_comes_back_with_it(written: Written, page: Page, gateway: Running) -> None:
    (between,) = (piece for piece in JAVASCRIPT.findall(written.text) if "new Worker" in piece)
    page.goto(f"{gateway.url}/?user=alice")
    heard = "window.heard = []; worker.onmessage = ({ data }) => heard.push(data.state ?? data.id);"
    page.evaluate(f"() => {{ {between} {heard} }}")
    page.wait_for_function("() => heard.includes('connected')")
    order(page, gateway, "alice")
    page.wait_for_function("() => heard.includes(7)")
    page.evaluate("() => dispatchEvent(new PageTransitionEvent('pagehide'))")
    page.wait_for_function("() => heard.at(-1) === 'disconnected'")
    order(page, gateway, "alice")
    page.evaluate("() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    page.wait_for_function("() => heard.filter((each) => each === 7).length === 2")


def test_the_hash_it_makes_is_what_a_browser_compares(written: Written) -> None:
    shutil.copy(CLIENT, written.directory / "messageflow.js")
    (command,) = written.commands("Content-Security-Policy and integrity")
    digest = base64.b64encode(hashlib.sha384(CLIENT.read_bytes()).digest()).decode()
    assert written.type(command).strip() == f"sha384-{digest}"


def test_every_error_code_of_the_client_is_there(written: Written) -> None:
    rows = re.findall(r"^\| (\d+) \|", written.text, re.MULTILINE)
    source = (ROOT / "client/src/codes.ts").read_text()
    codes = {int(code) for code in re.findall(r"^export const \w+ = (\d+);", source, re.MULTILINE)}
    assert [int(code) for code in rows] == sorted(code for code in codes if code < 100)


def test_every_member_of_a_flow_and_of_a_subscription_is_named(written: Written) -> None:
    member = re.compile(r"^  (?:get )?([a-z]\w*)(?:<[^(]*>)?\(", re.MULTILINE)
    for name in ("flow", "subscription"):
        source = (ROOT / f"client/src/{name}.ts").read_text().split("export class ")[1]
        for each in set(member.findall(source)) - {"constructor"}:
            assert re.search(rf"`[^`]*\b{each}\b", written.text), f"{name}.{each}"


def test_the_size_it_names_is_the_limit() -> None:
    limit = re.search(r"LIMIT = (\d+) \* 1024", (ROOT / "client/scripts/size.mjs").read_text())
    assert limit
    for document in ("docs/browser-client.md", "client/README.md"):
        assert f"most {limit[1]} KB gzipped" in " ".join((ROOT / document).read_text().split())


def test_what_the_page_tells_and_asks_reaches_the_application(written: Written, page: Page) -> None:
    (command,) = written.commands("What the page says")
    with written.gateway(command, **KEYS) as gateway:
        page.goto(gateway.url)
        said = page.locator("output")
        expect(said).to_have_text("Ulm")
        for city, then in (("Bonn", "Berlin, Ulm, Bonn"), ("Bonn", "it is there")):
            page.fill("input", city)
            page.click("button")
            expect(said).to_have_text(then)
