"""Pages that htmx, Turbo and Datastar change, unmodified, behind an nginx as Debian ships it, under a strict policy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from messageflow import Flow, Html
from messageflow.dialects.html.renderings import find_rendering
from tests.browser.conftest import open_page
from tests.browser.libraries import find_script, install_libraries
from tests.gateway.test_nginx import Nginx, nginx
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]  # it installs the libraries, once a checkout
__all__ = ["nginx"]

POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'"
INTRUSION = '<img src="/x" alt="intrusion">'


class Library(NamedTuple):
    """What a page needs of one.

    Args:
        scripts: below the directory of its packages.
        head: what it has to be told to live with a strict policy.
        triggered: an element that fetches something as something else was pushed, where there is such a thing: within
            the one that listens, where htmx 2 looks for it.
        closed: the event by which it tells that its stream is closed; empty where its element has gone.
        more: of the policy.
        module: whether its script is one.
    """

    scripts: tuple[str, ...]
    head: str = ""
    triggered: str = ""
    closed: str = ""
    more: str = ""
    module: bool = False


LIBRARIES = {
    "htmx2": Library(
        ("htmx.org/dist/htmx.js", "htmx-ext-sse/dist/sse.js"),
        """<meta name="htmx-config" content='{"includeIndicatorStyles":false,"allowEval":false}'>""",
        '<p id="clock" hx-get="/said" hx-trigger="sse:push:clock/ticked" hx-swap="innerHTML"></p>',
        "htmx:sseClose",
    ),
    "htmx4": Library(
        ("htmx4/dist/htmx.js", "htmx4/dist/ext/hx-sse.js"),
        "",
        '<p id="clock" hx-get="/said" hx-trigger="push:clock/ticked from:body"></p>',
        "htmx:sse:close",
    ),
    "turbo": Library(
        ("@hotwired/turbo/dist/turbo.es2017-umd.js",),
        '<meta name="csp-nonce" content="n">',
        more="; style-src 'nonce-n'",
    ),
    "datastar": Library(
        ("starhtml/static/js/datastar-core.js",),
        more="; script-src 'self' 'unsafe-eval'",
        module=True,
    ),
}
PAGE = """<!doctype html><html><head><title>{library}</title><link rel="icon" href="data:,">{head}{scripts}</head>
<body><p id="loads">{loads}</p>
<ul id="jobs"><li id="a">a</li></ul><table><tbody id="rows"><tr><td>r</td></tr></tbody></table>
{element}</body></html>"""


class Site(ThreadingHTTPServer):
    """An application with one page for each library, which says how often it was made.

    Attributes:
        flow: makes the tickets.
        make_element: returns what listens, for the page that is made so many times.
        loads: how often it was made.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.library = ""
        self.make_element: Callable[[int], str]
        self.loads = 0

    def make_page(self) -> str:
        self.loads += 1
        library = LIBRARIES[self.library]
        kind = ' type="module"' if library.module else ""
        return PAGE.format(
            library=self.library,
            loads=self.loads,
            head=library.head,
            scripts="".join(f'<script src="/lib/{each}"{kind}></script>' for each in library.scripts),
            element=self.make_element(self.loads),
        )


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        if self.path.startswith("/lib/"):
            self._answer("text/javascript", find_script(self.path[5:]).read_text())
        elif self.path.startswith("/said"):
            self._answer("text/html", "it ticked")
        elif self.path == "/":
            self._answer("text/html", self.server.make_page())
        else:
            self.send_error(404)

    def _answer(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Security-Policy", POLICY + LIBRARIES[self.server.library].more)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    arguments = ["serve", "--broker", "memory", "--trusted-proxies", "127.0.0.1"]
    with running(arguments, tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    install_libraries()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as started:
        thread = threading.Thread(target=started.serve_forever, daemon=True)
        thread.start()
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    page = open_page(browser, complaints)
    yield page
    page.context.close()


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_page_is_changed_and_comes_back_and_refreshes_itself_and_closes(
    name: str, gateway: Running, site: Site, nginx: Nginx, page: Page, complaints: list[str]
) -> None:
    flow = Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)
    library, user = LIBRARIES[name], f"{name}-user"

    def make_element(loads: int) -> str:
        late = "&last_event_id=gone" if loads == 1 else ""  # what a page gets whose place in the stream has gone
        url = f"/connection/uni_sse?as={name}&ticket={flow.ticket(user, channels=['jobs'])}{late}"
        element = find_rendering(name).element(url)
        return f"{element.removesuffix('</div>')}{library.triggered}</div>" if library.triggered else element

    site.library, site.make_element = name, make_element
    port = nginx(
        f"proxy_pass http://127.0.0.1:{site.server_port}; location ~ ^/(connection/|messageflow) {{ "
        f"proxy_pass http://127.0.0.1:{gateway.port}; proxy_set_header Host $http_host; }}"
    )
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#loads")).to_have_text("2")  # it was told that it missed something
    wait_until(lambda: is_shown(flow, user, page), seconds=30)
    check_every_swap(flow, user, page)
    check_that_nothing_else_is_html(flow, user, page)
    if library.triggered:
        flow.push(user, "clock/ticked", {"now": 1})
        expect(page.locator("#clock")).to_have_text("it ticked")
    if name == "htmx4":  # which comes back at once, where an EventSource takes seconds
        flow.disconnect(user, code=3001)  # a restart, for the page
        flow.html(user, "<li>back</li>", target="#jobs", swap="append")
        expect(page.locator("#jobs li").last).to_have_text("back")
        assert page.locator("#jobs li", has_text="back").count() == 1
    page.evaluate(f"addEventListener('{library.closed}', () => document.title = 'closed')")
    flow.disconnect(user)
    if library.closed:
        expect(page).to_have_title("closed")
    else:
        expect(page.locator("[data-messageflow]")).to_have_count(0)
    assert site.loads == 2
    assert complaints == []


def is_shown(flow: Flow, user: str, page: Page) -> bool:
    """Push, and say whether the page shows it: who is present may be the stream of the page as it was loaded first."""
    flow.html(user, "<i>here</i>", target="#a")
    return page.locator("#a > i").count() == 1


def check_every_swap(flow: Flow, user: str, page: Page) -> None:
    jobs = page.locator("#jobs")
    flow.html(user, '<li id="b">b\n  &amp;\n\nb</li>', target="#jobs", swap="append")
    flow.html(user, "<li>0</li>", target="ul#jobs[id='jobs']", swap="prepend")
    flow.html(user, "<li>-a</li>", target="#a", swap="before")
    flow.html(user, "<li>a-</li>", target="#a", swap="after")
    flow.html(user, "<b>A</b>", target="#a")
    expect(page.locator("#b")).to_be_visible()  # what comes by another channel may come before it
    flow.publish("jobs", Html('<li id="b"><i>B</i></li>', "#b", "replace"))
    flow.html(user, "<li>c</li><li id='d'>d</li>", target="#jobs", swap="append")
    flow.html(user, "", target="#d", swap="remove")
    flow.broadcast(Html("<tr><td>s</td></tr>", "#rows", "append"))
    expect(page.locator("#rows tr")).to_have_text(["r", "s"])
    expect(jobs.locator("li")).to_have_text(["0", "-a", "A", "a-", "B", "c"])
    expect(jobs.locator("#a > b")).to_have_text("A")
    expect(jobs.locator("#b > i")).to_have_text("B")


def check_that_nothing_else_is_html(flow: Flow, user: str, page: Page) -> None:
    said = {"html": INTRUSION, "target": "#jobs", "swap": "append"}
    flow.push(user, "html", said)
    flow.push(user, "message", INTRUSION)
    flow.publish("jobs", INTRUSION)
    flow.publish("jobs", {"type": "html", "payload": said}, tags={"messageflow": "other"})
    flow.html(user, "<li>marker</li>", target="#jobs", swap="append")
    expect(page.locator("#jobs li").last).to_have_text("marker")
    assert "intrusion" not in page.content()
