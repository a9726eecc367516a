"""docs/from-flask-socketio.md and docs/from-polling.md: the application before, asked as users ask it, and after."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from messageflow.integrations.flask import MessageFlow
from messageflow.testing import FlowRecorder
from tests.docs.written import FILE, Written
from tests.waiting import wait_until

pytestmark = pytest.mark.browser


def write(written: Written, heading: str) -> None:
    section = written.text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    for name, text in FILE.findall(section):
        (written.directory / name).write_text(text)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module of a page's project."""

    def load(written: Written, name: str) -> ModuleType:
        monkeypatch.syspath_prepend(written.directory)
        monkeypatch.delitem(sys.modules, "jobs", raising=False)
        spec = importlib.util.spec_from_file_location(f"coming_from_{name}", written.directory / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("jobs", None)


def test_flask_socketio_before_and_both_at_once(tmp_path: Path, load: Any) -> None:
    written = Written("from-flask-socketio.md", tmp_path)
    write(written, "Before")
    module = load(written, "app")
    app, socketio = module.app, module.socketio
    messageflow = MessageFlow(app, user=lambda: module.session.get("user"))
    app.add_url_rule("/both", view_func=lambda: (messageflow.push_current("report/ready"), "")[1])
    browser = app.test_client()
    assert not socketio.test_client(app, flask_test_client=browser).is_connected()
    assert browser.post("/login", data={"name": "alice"}).location == "/"
    assert b"socket.io.js" in browser.get("/").data
    alice = socketio.test_client(app, flask_test_client=browser)
    assert browser.post("/reports").status_code == 204
    assert alice.emit("city", "Rome", callback=True) == "added"
    assert [(each["name"], each["args"][0]) for each in alice.get_received()] == [
        ("report/ready", {"id": 7}),
        ("city", {"name": "Rome", "by": "alice"}),
    ]
    with FlowRecorder().recording() as recorder:
        assert browser.get("/both").status_code == 200
    recorder.to("alice").of("report/ready").one()


def test_flask_socketio_after(tmp_path: Path, page: Page) -> None:
    written = Written("from-flask-socketio.md", tmp_path)
    with written.gateway("messageflow run app:app") as gateway:
        page.goto(gateway.url)
        page.fill("[name=name]", "alice")
        page.click("#login")
        expect(page.locator("#state")).to_have_text("connected")
        page.click("#order")
        expect(page.locator("#heard")).to_contain_text("report 7 is ready")
        page.fill("#city", "Rome")
        page.click("#add")
        expect(page.locator("#heard")).to_contain_text("alice added Rome")
        expect(page.locator("#state")).to_have_text("added")


def test_polling_and_an_event_stream_before(tmp_path: Path, load: Any) -> None:
    written = Written("from-polling.md", tmp_path)
    polling = load(written, "polling").app.test_client()
    assert b"setInterval" in polling.get("/").data
    assert polling.get("/progress").json == {"percent": 0}
    assert polling.post("/jobs").status_code == 204
    wait_until(lambda: polling.get("/progress").json == {"percent": 100})
    streaming = load(written, "streaming").app.test_client()
    assert b"EventSource" in streaming.get("/").data
    with closing(streaming.get("/events")) as events:
        lines = iter(events.response)
        assert next(lines) == b":\n\n"
        assert streaming.post("/jobs").status_code == 204
        assert [next(lines) for _ in range(4)][-1] == b'data: {"percent": 100}\n\n'


@pytest.mark.parametrize("heading", ["Pushed", "Keep the EventSource"])
def test_a_page_that_is_told(heading: str, tmp_path: Path, page: Page) -> None:
    written = Written("from-polling.md", tmp_path)
    write(written, heading)
    with written.gateway("messageflow run app:app") as gateway:
        page.goto(gateway.url)
        page.click("#start")
        expect(page.locator("#percent")).to_have_text("100 %")
        if heading == "Pushed":
            page.reload()
            expect(page.locator("#percent")).to_have_text("100 %")
