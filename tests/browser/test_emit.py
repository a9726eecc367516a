"""What a page tells while the gateway, or a worker, is killed: handled once and in order, or said to be unknown."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import open_page
from tests.ports import free_port
from tests.support import Running, running
from tests.waiting import wait_until

pytestmark = pytest.mark.browser

APP = '''
import os
import time

from flask import Flask

from messageflow import Flow

app, flow = Flask(__name__), Flow()
handled = os.open("handled", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@app.get("/")
def page():
    return """<!doctype html><link rel="icon" href="data:,"><form><input><button>Tell</button></form><output></output>
    <script src="/messageflow.js"></script><script>
    const outcomes = {};
    const flow = messageflow.connect();
    const output = document.querySelector("output");
    let told = 0;
    const tell = (value) => {
      const number = ++told;
      flow.emit("tell", number, { timeout: 120000 }).then(
        () => (outcomes[number] = "handled"),
        (error) => (outcomes[number] = error.unknown ? "unknown" : `failed ${error.code} ${error.message}`),
      );
    };
    document.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      await flow.emit("form", event.target[0].value, { timeout: 120000 });
      output.value += "told;";
    };
    let timer;
    const begin = () => (timer = setInterval(tell, 100));
    const end = () => clearInterval(timer);
    </script>"""


@flow.on_connect
def come_in(event):
    return {"user": "somebody", "data": {"process": os.getpid()}}


@flow.on("tell")
@flow.on("form")
def tell(event):
    time.sleep(0.01)
    os.write(handled, f"{event.data}\\n".encode())
    time.sleep(0.01)
'''


@pytest.fixture
def application(tmp_path: Path) -> Path:
    place = tmp_path / "application"
    place.mkdir()
    (place / "app.py").write_text(APP)
    return place


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = open_page(browser, [])  # the console speaks of the connections it could not make, and may
    yield page
    page.context.close()


def read_handled(application: Path) -> list[str]:
    return (application / "handled").read_text().split()


def wait_for_state(page: Page, state: str) -> None:
    page.wait_for_function(f"flow.state === '{state}'", timeout=60_000)


def check_outcomes(page: Page, application: Path) -> dict[str, str]:
    """Wait until all is answered; nothing was handled twice, out of order, or otherwise than the page knows."""
    page.evaluate("end()")
    page.wait_for_function("Object.keys(outcomes).length === told", timeout=120_000)
    outcomes: dict[str, str] = page.evaluate("outcomes")
    handled = read_handled(application)
    assert len(handled) == len(set(handled))
    assert handled == sorted(handled, key=int)
    assert set(outcomes.values()) <= {"handled", "unknown"}
    assert {number for number, outcome in outcomes.items() if outcome == "handled"} <= set(handled)
    assert set(handled) <= set(outcomes)
    return outcomes


def test_a_form_that_is_sent_while_the_gateway_is_away_arrives_once(
    tmp_path: Path, application: Path, page: Page
) -> None:
    with running(("run", "app:app"), tmp_path, cwd=application, port=free_port()) as first:
        page.goto(first.url)
        wait_for_state(page, "connected")
        assert page.evaluate("flow.detail.data") == {"process": first.process.pid}
        first.kill()
        wait_for_state(page, "connecting")
        page.fill("input", "Ulm")
        page.click("button")
    with running(("run", "app:app"), tmp_path, cwd=application, port=first.port) as second:
        expect(page.locator("output")).to_have_text("told;")
        assert page.evaluate("flow.detail.data") == {"process": second.process.pid}  # anew with each connection
        assert read_handled(application) == ["Ulm"]


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_what_is_told_over_ends_of_the_gateway_is_handled_once_or_known_not_to_be_known(
    tmp_path: Path, application: Path, page: Page, end: str
) -> None:
    port, seen = free_port(), 0
    for life in range(3):
        with running(("run", "app:app"), tmp_path, cwd=application, port=port) as gateway:
            if not life:
                page.goto(gateway.url)
                page.evaluate("begin()")
            wait_until(lambda seen=seen: len(read_handled(application)) > seen + 20, 60)  # type: ignore[misc]
            if life < 2:
                getattr(gateway, end)()
                seen = len(read_handled(application))
            else:
                outcomes = check_outcomes(page, application)
    assert list(outcomes.values()).count("handled") > 40
    if end == "terminate":  # what was begun has ended, and the next gateway knows of it
        assert {number for number, outcome in outcomes.items() if outcome == "unknown"}.isdisjoint(
            read_handled(application)
        )


def get_workers(gateway: Running) -> list[int]:
    return [int(str(event["pid"])) for event in gateway.events("worker_ready")]


def test_what_is_told_over_kills_of_workers_is_handled_once_or_known_not_to_be_known(
    tmp_path: Path, application: Path, page: Page
) -> None:
    with running(("run", "app:app", "--workers", "2"), tmp_path, cwd=application) as gateway:
        page.goto(gateway.url)
        page.evaluate("begin()")
        for kills in range(3):
            before = len(read_handled(application))
            wait_until(lambda before=before: len(read_handled(application)) > before + 20, 60)  # type: ignore[misc]
            for pid in get_workers(gateway)[-2:]:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda kills=kills: len(get_workers(gateway)) >= 2 * (kills + 2), 60)  # type: ignore[misc]
        before = len(read_handled(application))
        wait_until(lambda: len(read_handled(application)) > before + 20, 60)
        outcomes = check_outcomes(page, application)
    assert list(outcomes.values()).count("unknown") <= 6  # those that a kill found in their handler
