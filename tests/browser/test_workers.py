"""The bundle where there is no page: dedicated, shared and service workers, classic and module, and made of a text."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import open_page
from tests.browser.pages import Site, site, until

pytestmark = pytest.mark.browser

WORK = """
const options = OPTIONS;
const said = [];
const tell = (port) => (message) => (said.push(message), port.postMessage(said));
function start(port) {
  const told = tell(port);
  const onError = ({ message }) => told(message);
  messageflow.createSocket(options.url, ({ payload }) => told(payload), { ...options, onError });
}
"""
START = {
    "dedicated": "start(self);",
    "shared": "onconnect = ({ ports }) => start(ports[0]);",
    "service": "onmessage = ({ source }) => start(source);",
}
OPEN = {
    "dedicated": "(url, type) => { new Worker(url, { type }).onmessage = ({ data }) => { globalThis.said = data; }; }",
    "shared": """(url, type) => {
      new SharedWorker(url, { type }).port.onmessage = ({ data }) => { globalThis.said = data; };
    }""",
    "service": """async (url, type) => {
      navigator.serviceWorker.onmessage = ({ data }) => { globalThis.said = data; };
      const { installing, waiting, active } = await navigator.serviceWorker.register(url, { type });
      (installing ?? waiting ?? active).postMessage("start");
    }""",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("shop")) as started:
        yield started


@pytest.fixture
def page(shop: Site, browser: Browser) -> Iterator[Page]:
    page = open_page(browser, [])
    page.goto(f"{shop.url}/elsewhere")
    yield page
    page.context.close()
    until(lambda: shop.here() == 0, "a worker outlives its page")


def work(shop: Site, kind: str, *, module: bool) -> str:
    script = f"{shop.gateway.url}/messageflow.js"
    load = f'import "{script}";' if module else f'importScripts("{script}");'
    options = {"url": shop.gateway.url, "tokenUrl": "/token/alice", "channels": {"room": {}}}
    return load + WORK.replace("OPTIONS", json.dumps(options)) + START[kind]


def check(page: Page, shop: Site) -> None:
    """Show that a push reaches the page by way of its worker."""
    until(lambda: shop.here() == 1, "it did not connect")
    shop.flow.push("alice", "note", "hello")
    page.wait_for_function("globalThis.said")
    assert page.evaluate("said") == ["hello"]


@pytest.mark.parametrize("module", [False, True], ids=["classic", "module"])
@pytest.mark.parametrize("kind", list(OPEN))
def test_a_worker_connects_and_hears(kind: str, module: bool, page: Page, shop: Site) -> None:
    shop.files["/work.js"] = ("text/javascript", work(shop, kind, module=module))
    page.evaluate(f"([url, type]) => ({OPEN[kind]})(url, type)", ["/work.js", "module" if module else "classic"])
    check(page, shop)


@pytest.mark.parametrize("kind", ["dedicated", "shared"])
def test_a_worker_made_of_a_text_finds_what_is_relative_to_its_page(kind: str, page: Page, shop: Site) -> None:
    text = work(shop, kind, module=False)
    page.evaluate(
        f"([text]) => ({OPEN[kind]})(URL.createObjectURL(new Blob([text], {{ type: 'text/javascript' }})), 'classic')",
        [text],
    )
    check(page, shop)


def test_a_module_in_a_page_connects_and_hears(page: Page, shop: Site) -> None:
    text = work(shop, "dedicated", module=True)
    text = text.replace("start(self)", "start({ postMessage(all) { globalThis.said = all; } })")
    page.add_script_tag(content=text, type="module")
    check(page, shop)
