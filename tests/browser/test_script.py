"""The script as pages of other origins load it: with `crossorigin` and `integrity`, as a module, isolated, measured."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from messageflow import Flow
from messageflow.gateway.client_script import CLIENT
from tests.browser.conftest import leave, open_page
from tests.support import API_KEY, TOKEN_SECRET, Running, running

pytestmark = pytest.mark.browser

INTEGRITY = "sha384-" + base64.b64encode(hashlib.sha384(CLIENT.read_bytes()).digest()).decode()
HOW = {
    "plain": '<script src="{url}"></script>',
    "crossorigin": '<script src="{url}" crossorigin></script>',
    "integrity": f'<script src="{{url}}" crossorigin="anonymous" integrity="{INTEGRITY}"></script>',
    "module": '<script type="module" src="{url}"></script>',
    "import": '<script type="module">import "{url}";</script>',
    "dynamic import": '<script type="module">await import("{url}");</script>',
}
ISOLATED = {
    "require-corp": {"Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Opener-Policy": "same-origin"},
    "credentialless": {"Cross-Origin-Embedder-Policy": "credentialless", "Cross-Origin-Opener-Policy": "same-origin"},
}


class Site(ThreadingHTTPServer):
    """A site of another origin, with one page.

    Attributes:
        page: what it answers to everything.
        headers: of each answer.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.page = ""
        self.headers: dict[str, str] = {}
        self.origin = f"http://localhost:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        body = self.server.page.encode()
        self.send_response(200)
        for name, value in {"Content-Type": "text/html", **self.server.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def gateway(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    flags = ["--broker", "memory", "--allowed-origins", site.origin]
    with running(["serve", *flags], tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.mark.parametrize("isolation", [None, *ISOLATED])
@pytest.mark.parametrize("how", HOW)
def test_a_page_of_another_origin_loads_the_script_and_is_pushed_to(
    browser: Browser, complaints: list[str], site: Site, gateway: Running, how: str, isolation: str | None
) -> None:
    script = f"{gateway.url}/messageflow.js"
    site.page = f'<!doctype html><link rel="icon" href="data:,">{HOW[how].format(url=script)}'
    site.headers = ISOLATED[isolation] if isolation else {}
    page = open_page(browser, complaints)
    page.goto(site.origin)
    page.wait_for_function("globalThis.messageflow !== undefined")
    assert page.evaluate("crossOriginIsolated") is (isolation is not None)
    assert page.evaluate("(url) => performance.getEntriesByName(url)[0].responseStart", script) > 0
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        page.evaluate(
            """([url, token]) => messageflow
                .connect({ url, token, on: { hello: (payload) => { globalThis.heard = payload; } } })
                .ready()""",
            [gateway.url, flow.token("alice")],
        )
        flow.push("alice", "hello", "there")
        page.wait_for_function("globalThis.heard === 'there'")
    leave([page], complaints)


def test_a_script_that_is_not_what_the_page_expects_is_not_run(
    browser: Browser, complaints: list[str], site: Site, gateway: Running
) -> None:
    other = HOW["integrity"].replace(INTEGRITY, "sha384-" + "A" * 64)
    site.page = f"<!doctype html>{other.format(url=f'{gateway.url}/messageflow.js')}"
    site.headers = {}
    page = open_page(browser, complaints)
    page.goto(site.origin)
    assert page.evaluate("globalThis.messageflow") is None
    page.context.close()
    assert any("integrity" in complaint for complaint in complaints)
