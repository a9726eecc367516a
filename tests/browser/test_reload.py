"""Pages that are open while the application under `run --reload` changes: they come back and have missed nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from messageflow import Flow, MessageflowError
from tests.browser.chromium import PATIENCE_MS
from tests.cli.test_reloading import reloading
from tests.support import API_KEY
from tests.waiting import patience

pytestmark = pytest.mark.browser

APPLICATION = """
from flask import Flask
from messageflow import Flow

app = Flask(__name__)
flow = Flow()

@app.route("/token")
def token():
    return {"token": flow.token("alice")}

@app.route("/")
def page():
    return '''<script src="/messageflow.js"></script><script>
      var got = [], lost = 0, codes = [];
      var flow = messageflow.connect({
        tokenUrl: "/token",
        on: { number: (payload) => got.push(payload) },
        onRecovery: ({ recovered }) => { lost += !recovered; },
        onState: (state, { code }) => { codes.push(code); },
      });
    </script>'''
"""


def push(flow: Flow, number: int) -> None:
    """Push until there is a receipt."""
    began = time.monotonic()
    while True:
        try:
            flow.push("alice", "number", number, idempotency_key=f"key-{number}")
            return
        except MessageflowError:  # it is away, and says so
            assert time.monotonic() - began < patience(PATIENCE_MS / 1000)


def test_pages_come_back_after_a_reload_and_have_missed_nothing(browser: Browser, tmp_path: Path) -> None:
    source = tmp_path / "shop.py"
    source.write_text(APPLICATION)
    with reloading(tmp_path, "--dev", "--api-key", API_KEY) as run:
        port = run.started(1)
        flow = Flow(f"http://127.0.0.1:{port}", api_key=API_KEY)
        pages = [browser.new_page() for _ in range(2)]
        said: list[str] = []
        for page in pages:
            page.on("console", lambda message: said.append(message.text))
            page.goto(f"http://127.0.0.1:{port}/")
            page.evaluate("flow.ready()")
        stored = 0
        for times in (2, 3):
            source.write_text(APPLICATION + f"# {times}\n")
            while len(run.ports) < times:
                stored += 1
                push(flow, stored)
            assert run.ports[-1] == port
        push(flow, 0)
        for page in pages:
            page.wait_for_function("got.includes(0)", timeout=PATIENCE_MS)
            assert page.evaluate("got") == [*range(1, stored + 1), 0]
            assert page.evaluate("lost") == 0
            assert 3401 in page.evaluate("codes")  # "restart": come back at once
        assert not [line for line in said if "ERR_" in line]  # nobody came to a closed door
        for page in pages:
            page.close()
