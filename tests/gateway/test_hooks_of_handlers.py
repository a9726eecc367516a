"""Handlers of a flow in a gateway: from what a page says to a function, and from there to every page."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Origin

from messageflow.errors import ConfigurationError
from messageflow.gateway.hook_events import HOOK_EVENTS
from messageflow.gateway.hooks_in_process import load_hooks
from messageflow.handlers.decisions import DECISIONS
from messageflow.handlers.registry import Handlers, Kind
from messageflow.hub.hooks import KINDS
from tests.gateway.asking import get
from tests.gateway.test_hooks_in_process import Page
from tests.support import Running, running
from tests.waiting import until

APPLICATION = """
import os, threading
from flask import Flask
from messageflow import Flow, Refuse

app = Flask(__name__)
flow = Flow()

@flow.on("city")
def city(event):
    on_the_loop = threading.current_thread() is threading.main_thread()
    flow.broadcast("city", {"city": event.data, "by": event.user, "main": on_the_loop})

@flow.on("shout")
def shout(event):
    flow.broadcast("shout", event.data, exclude=event)
    flow.broadcast("shouted")

@flow.rpc("double")
def double(event):
    if event.data is None:
        raise Refuse(1001, "of what?")
    return {"twice": event.data * 2, "worker": os.getpid()}

@flow.rpc("fail")
def fail(event):
    return 1 / 0

@flow.rpc("hang")
async def hang(event):
    import asyncio
    await asyncio.sleep(3600)

def timed(function):
    return lambda event: function(event)

@flow.rpc("wrapped")
@timed
async def wrapped(event):
    import asyncio
    await asyncio.sleep(0)
    return event.data
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "handled.py").write_text(APPLICATION)
    return tmp_path


async def hear(page: Page, kind: str, before: list[str] | None = None) -> Any:
    """Return the payload of the next push of a type, and keep the types of those before it."""
    while True:
        for line in str(await page.link.recv()).split("\n"):
            pushed = json.loads(line).get("push", {}).get("pub", {}).get("data", {})
            if pushed.get("type") == kind:
                return pushed["payload"]
            if before is not None and pushed:
                before.append(pushed["type"])


async def shout(page: Page, other: Page) -> None:
    """Let a page cause what is not for itself: the other gets it, and the page what comes after it."""
    await page.link.send(json.dumps({"send": {"data": {"type": "shout", "payload": "hello"}}}))
    assert await hear(other, "shout") == "hello"
    before: list[str] = []
    await hear(page, "shouted", before)
    assert before == []


COMMANDS = {
    "run": ["run", "handled:app"],
    "run with two workers": ["run", "handled:app", "--workers", "2"],
    "serve": ["serve", "--hooks", "handled:flow"],
    "serve with two workers": ["serve", "--hooks", "handled:flow", "--workers", "2"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
async def test_what_a_page_says_reaches_a_function_and_from_there_every_page(
    project: Path, tmp_path: Path, command: list[str]
) -> None:
    with running(command, tmp_path / "data", cwd=project) as gateway:
        alice, bob = Page(gateway, "alice"), Page(gateway, "bob")
        for page in (alice, bob):
            await page.connect()
        async with alice.link, bob.link:
            await alice.link.send(json.dumps({"send": {"data": {"type": "city", "payload": "Rome"}}}))
            for page in (bob, alice):
                assert await hear(page, "city") == {"city": "Rome", "by": "alice", "main": False}
            await shout(alice, bob)
            answer = (await alice.ask(rpc={"method": "double", "data": 21}))["rpc"]["data"]
            assert answer["twice"] == 42
            if "--workers" in command:
                os.kill(answer["worker"], signal.SIGSTOP)  # so that the next is the other's
                try:
                    other = Page(gateway, "carol")
                    await other.connect()
                    async with other.link:
                        second = (await other.ask(rpc={"method": "double", "data": 1}))["rpc"]["data"]
                        assert second["worker"] != answer["worker"]
                finally:
                    os.kill(answer["worker"], signal.SIGCONT)


async def test_what_goes_wrong_in_a_handler_is_its_own_affair(project: Path, tmp_path: Path) -> None:
    command = ["run", "handled:app", "--hook-timeout", "0.5s"]
    with running(command, tmp_path / "data", cwd=project) as gateway:
        page = Page(gateway, "alice")
        await page.connect()
        async with page.link:
            codes = {
                name: (await page.ask(rpc={"method": name}))["error"]["code"]
                for name in ("double", "fail", "hang", "unknown")
            }
            assert codes == {"double": 1001, "fail": 100, "hang": 100, "unknown": 104}
            assert (await page.ask(rpc={"method": "wrapped", "data": 1}))["rpc"]["data"] == 1
            await page.link.send(json.dumps({"send": {"data": {"type": "unknown"}}}))
            await page.link.send(json.dumps({"send": {"data": "nonsense"}}))
            assert (await page.ask(rpc={"method": "double", "data": 1}))["rpc"]["data"]["twice"] == 2
            refused = [(line["code"], line["reason"]) for line in gateway.events("event_refused")]
            assert [code for code, _ in refused] == [104, 107]
            assert "nothing handles 'unknown'" in str(refused[0][1])
        await until(lambda: len(gateway.events("hook_timed_out")) == 1)
        [failed], [hung] = gateway.events("hook_failed"), gateway.events("hook_timed_out")
        assert (failed["handler"], hung["handler"]) == ("handled.fail", "handled.hang")
        assert str(failed["exception"]).count("File") == 1, "the traceback begins in the handler"
        assert "1 / 0" in str(failed["exception"])
        assert "asyncio.sleep(3600)" in str(hung["exception"])


def test_two_ways_to_decide_are_refused_at_the_start(project: Path, tmp_path: Path) -> None:
    (project / "decisions.py").write_text("def rpc(question):\n    return 1\n")
    command = ["run", "handled:app", "--hooks", "decisions"]
    with pytest.raises(AssertionError, match="rpc is decided twice"), running(command, tmp_path / "data", cwd=project):
        pass


def test_of_a_flow_its_handlers_are_the_hooks(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "two_flows.py").write_text(
        "from messageflow import Flow\none, two, three = Flow(), Flow(), Flow()\n"
        "def connect(event): pass\none.on('a')(connect)\ntwo.on('b')(connect)\n"
    )
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    for target in ("handled:flow", "handled"):  # of a module those of its flow, whatever its functions are called
        found = load_hooks(target, 2)
        assert isinstance(found, Handlers)
        assert found.kinds == {"event", "rpc"}
    with pytest.raises(ConfigurationError, match="brings no hook"):
        load_hooks("handled:app.config", 2)
    with pytest.raises(ConfigurationError, match="name one, two_flows:one or two_flows:two"):
        load_hooks("two_flows", 2)


LATE = """
from messageflow import AsyncFlow

flow = AsyncFlow()

async def app(scope, receive, send):
    if scope["type"] == "http":
        import late_handlers
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"imported"})
"""
LATER = """
from late_app import flow

@flow.on("say")
async def say(event):
    await flow.push(event.user, "said", event.data)
"""


async def test_handlers_of_a_module_that_is_imported_late_are_asked_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "late_app.py").write_text(LATE)
    (tmp_path / "late_handlers.py").write_text(LATER)
    with running(["run", "late_app:app"], tmp_path / "data", cwd=tmp_path) as gateway:
        page = Page(gateway, "alice")
        await page.connect()
        async with page.link:
            said = json.dumps({"send": {"data": {"type": "say", "payload": "hello"}}})
            await page.link.send(said)
            await until(lambda: gateway.events("message_dropped"))
            assert await asyncio.to_thread(get, gateway.port, "/") == (200, "imported")
            await page.link.send(said)
            assert await hear(page, "said") == "hello"


WITNESS = """
import json
from messageflow import Flow

flow, ended = Flow(), []

@flow.on_connect
def come(event):
    shown = {"headers": dict(event.headers), "data": event.data, "user": event.user, "name": event.name}
    user = event.user or "nobody in particular"
    return {"data": shown, "user": user, "info": {"came": True}, "channels": ["open:all"]}

@flow.on_disconnect
def gone(event):
    ended.append([event.user, event.code, event.reason, event.info])

@flow.rpc("ended")
def tell(event):
    return {"ended": ended, "cookie": event.headers.get("cookie"), "info": event.info}

@flow.authorize("open:vip-*")
def vip(event):
    return event.user == "alice" and event.verb in ("subscribe", "publish")

@flow.on_publish("open:*")
def publish(event):
    if event.data == "casino":
        return False
    return {"text": event.data, "by": event.user}
"""
OPEN = '[[channel.namespaces]]\nname = "open"\nallow_history_for_subscriber = true\n'
OTHER = "https://other.example"


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "witness.py").write_text(WITNESS)
    (tmp_path / "messageflow.toml").write_text(OPEN)
    command = ["serve", "--config", "messageflow.toml", "--hooks", "witness:flow", "--allowed-origins", OTHER]
    command += ["--hook-headers", "Cookie,x-tenant"]
    with running(command, tmp_path / "data", cwd=tmp_path) as gateway:
        yield gateway


async def test_a_handler_sees_the_headers_that_are_named(witness: Running) -> None:
    headers = {"Cookie": "session=abc", "X-Tenant": "acme", "Authorization": "Bearer secret"}
    for origin, seen in ((None, True), (Origin(witness.url), True), (Origin(OTHER), False)):
        async with connect(witness.websocket, additional_headers=headers, origin=origin) as link:
            await link.send(json.dumps({"id": 1, "connect": {"data": {"page": 1}}}))
            answer = json.loads(await link.recv())["connect"]
            cookie = {"cookie": "session=abc"} if seen else {}
            expected = {"headers": cookie | {"x-tenant": "acme"}, "data": {"page": 1}, "user": "", "name": "connect"}
            assert answer["data"] == expected
            assert "open:all" in answer["subs"]
            await link.send(json.dumps({"id": 2, "rpc": {"method": "ended"}}))
            later = json.loads(await link.recv())["rpc"]["data"]
            assert (later["cookie"], later["info"]) == ("session=abc" if seen else None, {"came": True})


async def test_handlers_decide_about_channels_and_what_is_published_there(witness: Running) -> None:
    alice, bob = Page(witness, "alice"), Page(witness, "bob")
    for page in (alice, bob):
        await page.connect()
    vip = {"channel": "open:vip-1"}
    async with alice.link:
        async with bob.link:
            assert (await bob.ask(subscribe=vip))["error"]["code"] == 103
            assert (await bob.ask(subscribe={"channel": "open:other"}))["error"]["code"] == 103, "its namespace's word"
        assert "subscribe" in await alice.ask(subscribe=vip)
        assert (await alice.ask(publish={**vip, "data": "casino"}))["error"]["code"] == 103
        assert "publish" in await alice.ask(publish={**vip, "data": "hello"})
        assert (await alice.ask(history={**vip, "limit": 1}))["error"]["code"] == 103, "the handler says so"
        while not (ended := (await alice.ask(rpc={"method": "ended"}))["rpc"]["data"]["ended"]):
            pass
        assert ended == [["bob", 0, "", {"came": True}]]


def test_each_kind_of_handler_is_a_kind_of_hook_that_is_decided() -> None:
    assert set(get_args(Kind)) == set(DECISIONS) <= set(KINDS)


def test_each_kind_of_hook_is_an_event_in_process_and_by_webhook() -> None:
    assert set(HOOK_EVENTS) == set(KINDS)
