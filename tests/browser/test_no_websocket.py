"""Pages behind an nginx that lets no WebSocket through, as Debian ships it: by HTTP, and by EventSource."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from messageflow import Flow
from tests.browser.conftest import open_page
from tests.browser.test_script import Site, site
from tests.gateway.test_nginx import WEBSOCKETS, Nginx, nginx
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

pytestmark = pytest.mark.browser
__all__ = ["nginx", "site"]

PAGE = """<!doctype html><link rel="icon" href="data:,"><script src="/messageflow.js"></script>
<script>const heard = [], flow = messageflow.connect({{token: "{token}"}});
flow.onMessage(({{payload}}) => heard.push(payload));</script>"""
STREAM = """<!doctype html><link rel="icon" href="data:,">
<script>const heard = [], stream = new EventSource("/connection/uni_sse?ticket={ticket}");
stream.onmessage = ({{data}}) => heard.push(JSON.parse(data).payload);</script>"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(
        ["serve", "--workers", "2", "--trusted-proxies", "127.0.0.1"], tmp_path_factory.mktemp("gw")
    ) as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = open_page(browser, [])
    yield page
    page.context.close()


def front(gateway: Running, site: Site, upgrade: str) -> str:
    return (
        f"proxy_pass http://127.0.0.1:{site.server_port}; location ~ ^/(connection/|messageflow) {{ "
        f"proxy_pass http://127.0.0.1:{gateway.port}; {upgrade} proxy_set_header Host $http_host; }}"
    )


def test_the_client_falls_back_hears_and_asks(gateway: Running, site: Site, nginx: Nginx, page: Page) -> None:
    flow = Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)
    site.page = PAGE.format(token=flow.token("alice", allow=["room=subscribe,publish"]))
    port = nginx(front(gateway, site, ""))
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_function("flow.state === 'connected'")
    flow.push("alice", "a", 1)
    page.wait_for_function("heard.length === 1")
    page.evaluate("flow.subscribe('room', (data) => heard.push(data)).ready().then(() => flow.publish('room', 2))")
    page.wait_for_function("heard.length === 2")
    flow.disconnect("alice", code=3001)  # it comes back by HTTP, and has missed nothing
    flow.push("alice", "a", 3)
    page.wait_for_function("heard.length === 3")
    assert page.evaluate("heard") == [1, 2, 3]
    page.close()
    wait_until(lambda: not flow.online("alice"), seconds=5)


def test_a_stream_passes_as_it_is_and_comes_back(gateway: Running, site: Site, nginx: Nginx, page: Page) -> None:
    flow = Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)
    site.page = STREAM.format(ticket=flow.ticket("bob"))
    port = nginx(front(gateway, site, ""))
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_function("stream.readyState === EventSource.OPEN")
    wait_until(lambda: flow.online("bob"))
    flow.push("bob", "a", 1)
    page.wait_for_function("heard.length === 1")
    flow.disconnect("bob")
    flow.push("bob", "a", 2)
    page.wait_for_function("heard.length === 2")
    assert page.evaluate("heard") == [1, 2]


def test_where_a_websocket_gets_through_none_of_it_is_asked_for(
    gateway: Running, site: Site, nginx: Nginx, page: Page
) -> None:
    flow = Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)
    site.page = PAGE.format(token=flow.token("carol"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    port = nginx(front(gateway, site, WEBSOCKETS))
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_function("flow.state === 'connected'")
    assert not [url for url in asked if "/connection/" in url]
