"""`flow.webhook` below the servers that people deploy with: each a real one, with a real gateway that asks it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from messageflow.core.webhook_signatures import ID, SIGNATURE, TIMESTAMP, sign
from tests.gateway.test_hooks_in_process import Page
from tests.gateway.test_hooks_of_handlers import hear
from tests.gateway.test_hooks_webhook import asking, enter, told
from tests.gateway.webhook_applications import HANDLERS, PATH, SECRET, started
from tests.ports import free_port
from tests.support import Running
from tests.waiting import until

pytestmark = pytest.mark.slow

MORE = """
import signal

@flow.rpc("die")
def die(event):
    note("die")
    os.kill(os.getpid(), signal.SIGKILL)

@flow.rpc("wait")
def wait(event):
    time.sleep(0.2)
    return os.getpid()

@flow.rpc("refused")
def refused(event):
    return dict(flow.webhook.refused)
"""
FLASK = """
from flask import Flask
from handlers import flow

app = Flask(__name__)
app.get("/")(lambda: "the application")
app.wsgi_app = flow.webhook.wsgi(app.wsgi_app)
"""
FASTAPI = """
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from handlers import flow

app = FastAPI()
app.get("/", response_class=PlainTextResponse)(lambda: "the application")
app.add_middleware(flow.webhook.asgi)
"""
SERVERS = {
    "gunicorn": (FLASK, ["gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "error"]),
    "gunicorn gthread": (
        FLASK,
        [
            "gunicorn",
            "--bind",
            "127.0.0.1:{port}",
            "--log-level",
            "error",
            "--worker-class",
            "gthread",
            "--threads",
            "8",
        ],
    ),
    "waitress": (FLASK, ["waitress", "--listen", "127.0.0.1:{port}", "--threads", "8"]),
    "uvicorn": (FASTAPI, ["uvicorn", "--port", "{port}", "--log-level", "error"]),
}
FORKING = ("gunicorn", "gunicorn gthread")  # whose master starts another worker


@dataclass
class Deployed:
    """An application below a server, and the gateway that asks it."""

    name: str
    port: int
    gateway: Running
    directory: Path

    async def page(self, user: str) -> Page:
        return await enter(self.gateway, user)


@pytest.fixture(scope="module", params=SERVERS)
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    name: str = request.param
    text, command = SERVERS[name]
    directory, port = tmp_path_factory.mktemp("deployed"), free_port()
    (directory / "handlers.py").write_text(HANDLERS + MORE)
    (directory / "site_app.py").write_text(text)
    words = [sys.executable, "-m", *(word.format(port=port) for word in command), "site_app:app"]
    with ExitStack() as stack:
        gateway = stack.enter_context(asking(directory, port, "wsgi"))
        stack.enter_context(started(words, directory, port, gateway.url))
        yield Deployed(name, port, gateway, directory)


def post(port: int, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Knock at the endpoint; return status and answer."""
    link = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        link.request("POST", PATH, body, headers)
        response = link.getresponse()
        return response.status, json.loads(response.read())
    finally:
        link.close()


def signed(body: bytes, message_id: str, key: str = SECRET, age: float = 0) -> dict[str, str]:
    at = int(time.time() - age)
    return {ID: message_id, TIMESTAMP: str(at), SIGNATURE: sign(key.encode(), message_id, at, body)}


async def test_what_a_page_says_reaches_the_handlers_and_the_rest_the_application(deployed: Deployed) -> None:
    alice, bob = await deployed.page("alice"), await deployed.page("bob")
    async with alice.link, bob.link:
        await alice.link.send(json.dumps({"send": {"data": {"type": "city", "payload": "Rome"}}}))
        assert await hear(bob, "city") == {"city": "Rome", "by": "alice"}
        codes = [(await alice.ask(rpc={"method": name}))["error"]["code"] for name in ("double", "fail", "none")]
        assert codes == [1001, 100, 104]
        assert (await alice.ask(rpc={"method": "double", "data": "x" * 50_000}))["rpc"]["data"][
            "twice"
        ] == "x" * 100_000
        key = {"data": {"type": "city", "payload": "Oslo"}, "key": "k"}
        assert [(await alice.ask(send=key))["id"] > 0 for _ in range(2)] == [True, True]
        assert await hear(bob, "city") == {"city": "Oslo", "by": "alice"}
        assert "subscribe" in await alice.ask(subscribe={"channel": "open:blue"})
        assert (await alice.ask(subscribe={"channel": "open:closed"}))["error"]["code"] == 103
    await until(lambda: {"gone alice 0", "gone bob 0", "vacated open:blue"} <= set(told(deployed.directory)))
    site = HTTPConnection("127.0.0.1", deployed.port, timeout=10)
    site.request("GET", "/")
    assert site.getresponse().read() == b"the application"
    site.close()


async def test_many_calls_at_once_are_all_answered(deployed: Deployed) -> None:
    """A server with one sync worker answers one after the other and closes each connection; others have threads."""
    pages = [await deployed.page(f"user-{number}") for number in range(12)]
    answers = await asyncio.gather(*(page.ask(rpc={"method": "wait"}) for page in pages))
    assert len({answer["rpc"]["data"] for answer in answers}) == 1, "one worker"
    await asyncio.gather(*(page.link.close() for page in pages))


async def test_who_is_not_believed_gets_401_and_is_counted(deployed: Deployed) -> None:
    body = b'{"kind":"describe"}'
    once = signed(body, "msg_once")
    assert (await asyncio.to_thread(post, deployed.port, body, once))[0] == 200
    refused = {
        "replayed": once,
        "signature": signed(body, "msg_2", key="another-secret-" * 3),
        "old": signed(body, "msg_3", age=301),
        "early": signed(body, "msg_4", age=-310),
        "unsigned": {},
    }
    for reason, headers in refused.items():
        status, answer = await asyncio.to_thread(post, deployed.port, body, headers)
        assert (status, set(answer)) == (401, {"error"}), reason
    carol = await deployed.page("carol")
    async with carol.link:
        assert (await carol.ask(rpc={"method": "refused"}))["rpc"]["data"] == dict.fromkeys(refused, 1)


async def test_a_worker_that_is_killed_in_a_call_is_replaced_and_the_call_is_not_repeated(deployed: Deployed) -> None:
    if deployed.name not in FORKING:
        return  # nobody starts those again
    dave = await deployed.page("dave")
    async with dave.link:
        assert (await dave.ask(rpc={"method": "die"}))["error"]["code"] == 113, "nobody knows how far it came"
        erin = await deployed.page("erin")
        async with erin.link:
            assert (await erin.ask(rpc={"method": "double", "data": 1}))["rpc"]["data"]["twice"] == 2
    assert told(deployed.directory).count("die") == 1
