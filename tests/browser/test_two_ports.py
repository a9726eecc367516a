"""Two script tags are enough with the gateway at a port of its own, and below a path of the application's site."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from messageflow import Flow
from tests.browser.conftest import open_page
from tests.browser.test_script import Site, site
from tests.gateway.test_nginx import WEBSOCKETS, Nginx, nginx
from tests.support import API_KEY, START_SECONDS, TOKEN_SECRET, Running, running

pytestmark = pytest.mark.browser
__all__ = ["nginx", "site"]

TAGS = """<!doctype html><link rel="icon" href="data:,"><script src="{script}"></script>
<script>const heard = [], flow = messageflow.connect({options});
flow.onMessage(({{payload}}) => heard.push(payload));</script>"""
CONNECTED = "flow.state === 'connected'"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    with running(["serve", "--broker", "memory"], tmp_path) as started:
        yield started


@pytest.fixture
def complained(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    complaints: list[str] = []
    page = open_page(browser, complaints)
    yield page, complaints
    page.context.close()


def with_token(user: str = "alice") -> str:
    return f'{{token: "{Flow("http://unused", token_secret=TOKEN_SECRET).token(user)}"}}'


def test_below_a_path_two_tags_a_flow_and_the_command_line_reach_the_gateway(
    gateway: Running, site: Site, nginx: Nginx, complained: tuple[Page, list[str]]
) -> None:
    page, complaints = complained
    port = nginx(
        f"proxy_pass http://127.0.0.1:{site.server_port}; location /push/ {{ "
        f"proxy_pass http://127.0.0.1:{gateway.port}/; {WEBSOCKETS} proxy_set_header Host $http_host; }}"
    )
    base = f"http://127.0.0.1:{port}/push"
    told = with_token().replace("{", f"{{url: {base!r}, ")
    for number, options in enumerate((with_token(), told, with_token()), 1):
        site.page = TAGS.format(script="/push/messageflow.js", options=options)
        page.goto(f"http://127.0.0.1:{port}/orders/7")
        page.wait_for_function(CONNECTED)
        with Flow(base, api_key=API_KEY) as flow:
            assert flow.push("alice", "t", number).offset == number
        page.wait_for_function(f"heard.includes({number})")
    assert complaints == []
    done = subprocess.run(
        [sys.executable, "-m", "messageflow.cli", "push", "--url", base, "alice", "t", "4"],
        env={"MESSAGEFLOW_API_KEY": API_KEY, "PATH": "/usr/bin"},
        timeout=START_SECONDS,
        check=True,
        capture_output=True,
    )
    assert done.returncode == 0
    page.wait_for_function("heard.includes(4)")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_in_development_a_page_at_another_port_of_this_machine_connects(
    tmp_path: Path, site: Site, complained: tuple[Page, list[str]], name: str
) -> None:
    page, complaints = complained
    with running(["serve", "--dev", "--broker", "memory"], tmp_path) as gateway:
        site.page = TAGS.format(script=f"{gateway.url}/messageflow.js", options=with_token())
        page.goto(f"http://{name}:{site.server_port}/")
        page.wait_for_function(CONNECTED)
        with Flow(gateway.url, api_key=API_KEY) as flow:
            flow.push("alice", "t", 1)
        page.wait_for_function("heard.includes(1)")
        page.goto("about:blank")
    assert complaints == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ('{token: "e30.e30.AAAA"}', "not connected (3500), and not trying again: invalid token; the log of the"),
        ("{}", "; give tokenUrl, getToken or token"),
        ('{tokenUrl: "/login"}', "answered a page, not a token: is somebody logged in? If nobody is, answer 401"),
    ],
)
def test_a_page_that_cannot_connect_says_why_in_one_sentence(
    tmp_path: Path, complained: tuple[Page, list[str]], site: Site, options: str, sentence: str
) -> None:
    page, complaints = complained
    with running(["serve", "--broker", "memory", "--allowed-origins", site.origin], tmp_path) as gateway:
        site.page = TAGS.format(script=f"{gateway.url}/messageflow.js", options=options)
        with page.expect_console_message(lambda said: sentence in said.text and said.type == "error"):
            page.goto(site.origin)
        page.goto("about:blank")
    assert sum("messageflow:" in said for said in complaints) == 1
