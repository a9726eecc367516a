"""Hooks that are functions of the application: found by name, plain or coroutines, in every worker of a gateway."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from messageflow.errors import ConfigurationError, Refuse
from messageflow.gateway import hooks_in_process
from messageflow.gateway.hooks_in_process import load_hooks
from messageflow.hub.hooks import (
    AuthorizeAnswer,
    AuthorizeQuestion,
    ClientView,
    ConnectAnswer,
    ConnectQuestion,
    Hooks,
    RpcAnswer,
    RpcQuestion,
)
from tests.resuming import SECONDS, Client
from tests.support import Running, running

ALICE = ClientView("alice", "c", "127.0.0.1")
CALL = RpcQuestion(ALICE, "echo", b'{"a":1}')
SUBSCRIBE = AuthorizeQuestion(ALICE, "open:x", "subscribe", False)
CONNECT = ConnectQuestion(ALICE)


def loaded(monkeypatch: pytest.MonkeyPatch, concurrency: int = 2, **functions: Any) -> Hooks:
    monkeypatch.setattr(hooks_in_process, "load_object", lambda target, names: SimpleNamespace(**functions))
    found = load_hooks("hooks", concurrency)
    assert isinstance(found, Hooks)
    return found


async def test_plain_functions_run_on_threads_and_coroutine_functions_on_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran_on: list[threading.Thread] = []

    def rpc(question: RpcQuestion) -> object:
        ran_on.append(threading.current_thread())
        return question.value

    async def connect(question: ConnectQuestion) -> None:
        ran_on.append(threading.current_thread())

    hooks = loaded(monkeypatch, rpc=rpc, connect=connect)
    assert hooks.rpc is not None
    assert hooks.connect is not None
    assert await hooks.rpc(CALL) == RpcAnswer(b'{"a":1}')
    assert await hooks.connect(CONNECT) == ConnectAnswer()
    assert [thread is threading.main_thread() for thread in ran_on] == [False, True]
    assert (hooks.publish, hooks.event) == (None, None)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (None, AuthorizeAnswer()),
        (True, AuthorizeAnswer(True)),
        (False, AuthorizeAnswer(False)),
        (AuthorizeAnswer(True), AuthorizeAnswer(True)),
    ],
)
async def test_yes_no_and_nothing_are_answers(
    monkeypatch: pytest.MonkeyPatch, said: object, answer: AuthorizeAnswer
) -> None:
    hooks = loaded(monkeypatch, authorize=lambda question: said)
    assert hooks.authorize is not None
    assert await hooks.authorize(SUBSCRIBE) == answer


async def test_no_refuses_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = loaded(monkeypatch, connect=lambda question: False)
    assert hooks.connect is not None
    with pytest.raises(Refuse) as caught:
        await hooks.connect(CONNECT)
    assert caught.value.code == 103


async def test_a_thread_whose_caller_gave_up_keeps_its_place_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, first, began = threading.Event(), threading.Event(), list[RpcQuestion]()

    def rpc(question: RpcQuestion) -> str:
        began.append(question)
        first.set()
        gate.wait(30)
        raise RuntimeError("nobody hears this")

    hooks = loaded(monkeypatch, concurrency=1, rpc=rpc)
    assert hooks.rpc is not None
    given_up = asyncio.ensure_future(hooks.rpc(CALL))
    assert await asyncio.to_thread(first.wait, 30)
    given_up.cancel()
    in_vain, waiting = asyncio.ensure_future(hooks.rpc(CALL)), asyncio.ensure_future(hooks.rpc(CALL))
    await asyncio.sleep(0.05)
    in_vain.cancel()
    await asyncio.sleep(0)
    assert len(began) == 1
    gate.set()
    with pytest.raises(RuntimeError):
        await waiting
    assert len(began) == 2, "a call that was given up in line is never made"


# By name


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(directory))
    return directory


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("there_is_none", "no module 'there_is_none'"),
        ("empty_hooks", "brings no hook"),
        ("empty_hooks:something", "no 'something' in the module"),
        ("empty_hooks.py", "is a file; give the module: empty_hooks"),
    ],
)
def test_a_name_that_is_wrong_is_said(project: Path, target: str, text: str) -> None:
    (project / "empty_hooks.py").write_text("connect = 'no function'\n")
    with pytest.raises(ConfigurationError, match=text):
        load_hooks(target, 2)


# In a gateway

HOOKS = """
import os
from messageflow.errors import Refuse

class Decisions:
    def authorize(self, question):
        return question.channel == f"rooms:{question.client.user}"

    async def rpc(self, question):
        if question.method == "bad":
            raise Refuse(1042, "no")
        return {"worker": os.getpid(), "data": question.value}

decisions = Decisions()
"""
CONFIG = '[[channel.namespaces]]\nname = "rooms"\n'
APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the application"})
"""


@pytest.fixture
def written(project: Path) -> Path:
    (project / "shop_hooks.py").write_text(HOOKS)
    (project / "shop_app.py").write_text(APPLICATION)
    (project / "messageflow.toml").write_text(CONFIG)
    return project


class Page(Client):
    """A client that asks and waits for the reply."""

    numbers = itertools.count(2)

    async def ask(self, **command: Any) -> dict[str, Any]:
        number = next(self.numbers)
        await self.link.send(json.dumps({"id": number, **command}))
        async with asyncio.timeout(SECONDS):
            while True:
                for line in str(await self.link.recv()).split("\n"):
                    reply: dict[str, Any] = json.loads(line)
                    if reply.get("id") == number:
                        return reply


@pytest.mark.parametrize(
    "command",
    [
        ["serve", "--hooks", "shop_hooks:decisions"],
        ["serve", "--workers", "2", "--hooks", "shop_hooks:decisions"],
        ["run", "shop_app:app", "--hooks", "shop_hooks:decisions"],
        ["run", "shop_app:app", "--workers", "2", "--hooks", "shop_hooks:decisions"],
    ],
    ids=["serve", "serve with two workers", "run", "run with two workers"],
)
@pytest.mark.slow
async def test_every_worker_asks_the_application(written: Path, tmp_path: Path, command: list[str]) -> None:
    with running([*command, "--config", "messageflow.toml"], tmp_path / "data", cwd=written) as gateway:
        first = await worker_that_decides(gateway, "alice")
        if "--workers" in command:
            os.kill(first, signal.SIGSTOP)  # so that the next is the other's
            try:
                assert await worker_that_decides(gateway, "bob") != first
            finally:
                os.kill(first, signal.SIGCONT)


async def worker_that_decides(gateway: Running, user: str) -> int:
    """Let somebody do what the hooks allow, refuse and answer; return the process that was asked."""
    page = Page(gateway, user)
    await page.connect()
    async with page.link:
        assert "subscribe" in await page.ask(subscribe={"channel": f"rooms:{user}"})
        assert (await page.ask(subscribe={"channel": "rooms:other"}))["error"]["code"] == 103
        assert (await page.ask(rpc={"method": "bad"}))["error"]["code"] == 1042
        answer = (await page.ask(rpc={"method": "good", "data": [1]}))["rpc"]["data"]
        assert answer["data"] == [1]
        worker: int = answer["worker"]
        return worker
