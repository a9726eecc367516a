"""docs/event-streams.md: its page in a browser, through a cut; what a script hears."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from messageflow import Flow
from tests.docs.written import Written
from tests.stream_reader import Stream
from tests.support import API_KEY, TOKEN_SECRET
from tests.waiting import wait_until

pytestmark = pytest.mark.browser

KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}


def test_its_page_hears_and_comes_back_and_has_missed_nothing(tmp_path: Path, page: Page) -> None:
    written = Written("event-streams.md", tmp_path)
    (command,) = written.commands("A page")
    with written.gateway(command, **KEYS) as gateway:
        flow = Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)
        page.goto(f"{gateway.url}/?user=alice")
        page.wait_for_function("stream.readyState === EventSource.OPEN")
        page.request.post(f"{gateway.url}/reports/1?user=alice")
        expect(page.locator("#reports")).to_have_text("report 1")
        page.evaluate("window.cuts = 0; stream.onerror = () => window.cuts++")
        flow.disconnect("alice")
        flow.push("alice", "report/ready", {"id": 2})
        expect(page.locator("#reports")).to_have_text("report 1report 2")
        assert page.evaluate("cuts") >= 1


def test_a_view_of_ones_own_answers_with_the_stream_and_ends_with_its_server(tmp_path: Path) -> None:
    written = Written("event-streams.md", tmp_path)
    (command,) = written.commands("From a view of your own")
    with written.gateway(command, **KEYS) as gateway:
        flow = Flow(gateway.url, api_key=API_KEY)
        with Stream(gateway, "/events?user=alice") as stream:
            assert stream.event()[1]["channels"] == ["#alice", "*", "news"]
            flow.push("alice", "report/ready", {"id": 1})
            assert stream.data() == {"type": "report/ready", "payload": {"id": 1}}
        wait_until(lambda: not flow.online("alice"))
        flow.push("alice", "report/ready", {"id": 2})
        with Stream(gateway, "/events?user=alice", {"Last-Event-ID": stream.last_id}) as stream:
            assert stream.data()["payload"] == {"id": 2}
            assert gateway.terminate() == 0
            assert stream.event()[0] == "disconnect"
            assert not stream.read()


def test_a_script_hears_lines(tmp_path: Path) -> None:
    written = Written("event-streams.md", tmp_path)
    (command,) = written.commands("For programs")
    with written.gateway("messageflow run app:app", **KEYS) as gateway:
        command = command.replace("localhost:8000", f"127.0.0.1:{gateway.port}")
        written.environment |= {**KEYS, "MESSAGEFLOW_URL": gateway.url}
        with subprocess.Popen(
            command, shell=True, env=written.environment, cwd=written.directory, stdout=subprocess.PIPE, text=True
        ) as heard:
            assert heard.stdout is not None
            assert heard.stdout.readline().startswith('{"connect":{"client":')
            Flow(gateway.url, api_key=API_KEY).push("alice", "report/ready", {"id": 7})
            line = heard.stdout.readline()
            heard.terminate()
        script = written.directory / "hear.py"
        script.write_text(script.read_text().replace("localhost:8000", f"127.0.0.1:{gateway.port}"))
        with subprocess.Popen(
            [sys.executable, script], env=written.environment, cwd=written.directory, stdout=subprocess.PIPE, text=True
        ) as script_heard:
            assert script_heard.stdout is not None
            flow = Flow(gateway.url, api_key=API_KEY)
            wait_until(lambda: flow.online("bob"))
            flow.push("bob", "report/ready", {"id": 8})
            assert script_heard.stdout.readline() == "{'type': 'report/ready', 'payload': {'id': 8}}\n"
            script_heard.terminate()
    shown = re.findall(r'^\{"channel".*\}$', written.text, re.MULTILINE)[0].replace("…", "TAG")
    assert re.sub(r'"tag":"\w+"', '"tag":"TAG"', line.strip()) == shown
