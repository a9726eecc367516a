"""`flow.webhook` without a gateway: whom it believes, what it answers, and the two faces it has."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from messageflow.core.webhook_signatures import ID, SIGNATURE, TIMESTAMP, sign
from messageflow.errors import Refuse
from messageflow.handlers.decorators import Decorators
from messageflow.handlers.event import Event
from messageflow.handlers.webhook import Webhook

SECRET, OLD = "a-hooks-secret-0123456789abcdef0123456789", "an-older-secret-0123456789abcdef01234567"
NOW = 1_790_000_000
IDS = itertools.count()
CASES = json.loads((Path(__file__).parents[1] / "vectors" / "webhooks.json").read_text())["cases"]


class Application(Decorators):
    """A flow with handlers of every sort."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.webhook = Webhook(self.handlers, lambda: (SECRET, OLD), clock=lambda: NOW)

        @self.rpc("double")
        def double(event: Event) -> Any:
            self.seen.append(threading.current_thread())
            return {"twice": event.data * 2, "by": event.user}

        @self.rpc("later")
        async def later(event: Event) -> Any:
            await asyncio.sleep(0)
            self.seen.append(threading.current_thread())
            return event.data

        @self.rpc("hang")
        async def hang(event: Event) -> None:
            await asyncio.sleep(3600)

        @self.rpc("refuse")
        def refuse(event: Event) -> None:
            raise Refuse(1001, "of what?", temporary=True)

        @self.rpc("fail")
        def fail(event: Event) -> float:
            return 1 / 0

        @self.on_connect
        def come(event: Event) -> Any:
            return {"user": "alice", "info": {"name": "Alice"}, "channels": ["news"]}

        @self.authorize("rooms:*")
        def may(event: Event) -> Any:
            return {"rooms:a": True, "rooms:b": False}.get(event.channel)

        @self.on_publish("rooms:*")
        def read(event: Event) -> Any:
            return {"text": event.data} if event.channel == "rooms:a" else None

        @self.on_disconnect
        def gone(event: Event) -> None:
            if event.user == "mallory":
                raise ValueError("who?")
            self.seen.append(event.user)


@pytest.fixture
def application() -> Application:
    return Application()


def signed(body: bytes, secret: str = SECRET, *, at: int = NOW, message_id: str = "") -> dict[str, str]:
    message_id = message_id or f"msg_{next(IDS)}"
    return {ID: message_id, TIMESTAMP: str(at), SIGNATURE: sign(secret.encode(), message_id, at, body)}


def ask_wsgi(application: Any, body: bytes, headers: dict[str, str], method: str = "POST") -> tuple[int, Any]:
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ |= {"REQUEST_METHOD": method, "PATH_INFO": "/messageflow/hooks", "CONTENT_LENGTH": str(len(body))}
    told: list[str] = []
    answer = b"".join(
        application({**environ, "wsgi.input": io.BytesIO(body)}, lambda status, headers: told.append(status))
    )
    return int(told[0].split()[0]), json.loads(answer)


def ask_asgi(application: Any, body: bytes, headers: dict[str, str], method: str = "POST") -> tuple[int, Any]:
    sent: list[Any] = []
    pieces = [body[:10], body[10:]]

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    lines.append((b"content-length", str(len(body)).encode()))
    scope = {"type": "http", "method": method, "path": "/messageflow/hooks", "headers": lines}
    asyncio.run(application(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


Ask = Callable[..., tuple[int, Any]]
FACES = {"wsgi": ask_wsgi, "asgi": ask_asgi}


def ask(application: Application, face: str, kind: str, *events: dict[str, Any], seconds: float = 5.0) -> list[Any]:
    body = json.dumps({"kind": kind, "events": events, "seconds": seconds}).encode()
    status, answer = FACES[face](getattr(application.webhook, face), body, signed(body))
    assert status == 200, answer
    results: list[Any] = answer["results"]
    return results


@pytest.mark.parametrize("face", FACES)
def test_each_kind_is_answered(application: Application, face: str) -> None:
    def one(kind: str, **event: Any) -> Any:
        return ask(application, face, kind, {"name": kind, **event})[0]

    assert one("rpc", name="double", data=21, user="alice") == {"result": {"twice": 42, "by": "alice"}}
    assert one("rpc", name="later", data=[1]) == {"result": [1]}
    assert one("rpc", name="refuse") == {"refusal": {"code": 1001, "message": "of what?", "temporary": True}}
    assert one("rpc", name="none")["refusal"]["code"] == 104
    failure = one("rpc", name="fail")["failure"]
    assert failure["handler"].endswith("fail")
    assert "ZeroDivisionError" in failure["error"]
    said = one("connect")["result"]
    assert said == {"user": "alice", "info": {"name": "Alice"}, "channels": ["news"]}
    allowed = [one("authorize", channel=f"rooms:{name}", verb="subscribe") for name in "abc"]
    assert allowed == [{"result": True}, {"result": False}, {"result": None}]
    assert one("publish", channel="rooms:a", data=1) == {"result": {"data": {"text": 1}}}
    assert one("publish", channel="rooms:b", data=1) == {"result": None}
    assert "no handler is of the kind" in one("nonsense")["failure"]["error"]


@pytest.mark.parametrize("face", FACES)
def test_a_plain_function_that_wraps_a_coroutine_function_is_awaited(application: Application, face: str) -> None:
    ran: list[Any] = []

    async def note(event: Event) -> int:
        await asyncio.sleep(0)
        ran.append(event.data)
        return 5

    application.rpc("wrapped")(lambda event: note(event))
    application.on("wrapped")(lambda event: note(event))
    assert ask(application, face, "rpc", {"name": "wrapped", "data": 1}) == [{"result": 5}]
    assert ask(application, face, "event", {"name": "wrapped", "data": 2}) == [{"result": None}]
    assert ran == [1, 2]


def raising(error: BaseException) -> Callable[[Event], None]:
    def fail(event: Event) -> None:
        raise error

    return fail


@pytest.mark.parametrize("face", FACES)
def test_what_would_end_a_process_ends_its_call_alone(
    application: Application, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server's main thread below WSGI `sys.exit()` is the server's own: here all are others."""
    monkeypatch.setattr(threading, "main_thread", lambda: None)

    async def leave(event: Event) -> None:
        raise SystemExit(3)

    async def give_up(event: Event) -> None:
        raise asyncio.CancelledError

    async def go_on(event: Event) -> None:
        while not freed:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    freed: list[bool] = []
    application.rpc("exit")(lambda event: sys.exit(3))
    application.rpc("leave")(leave)
    application.rpc("give_up")(give_up)
    application.rpc("interrupt")(raising(KeyboardInterrupt()))
    application.rpc("cancelled")(raising(asyncio.CancelledError()))
    for name in ("exit", "leave", "give_up", "interrupt", "cancelled"):
        [result] = ask(application, face, "rpc", {"name": name})
        assert result["failure"]["error"], name
    if face == "wsgi":
        application.rpc("deaf")(go_on)
        assert "Timeout" in ask(application, face, "rpc", {"name": "deaf"}, seconds=0.01)[0]["failure"]["error"]
        freed.append(True)
    assert ask(application, face, "rpc", {"name": "later", "data": 1}) == [{"result": 1}]


@pytest.mark.parametrize("face", FACES)
def test_of_several_each_has_its_own_result(application: Application, face: str) -> None:
    people = [{"name": "disconnect", "user": user} for user in ("alice", "mallory", "bob")]
    results = ask(application, face, "disconnect", *people)
    assert ["failure" in result for result in results] == [False, True, False]
    assert application.seen == ["alice", "bob"]


@pytest.mark.parametrize("face", FACES)
def test_of_several_whose_time_is_over_the_rest_is_not_begun(application: Application, face: str) -> None:
    application.on_disconnect(lambda event: time.sleep(0.06))
    people = [{"name": "disconnect", "user": user} for user in ("alice", "bob", "carol")]
    assert len(ask(application, face, "disconnect", *people, seconds=0.05)) == 1
    assert application.seen == ["alice"]


@pytest.mark.parametrize("face", FACES)
def test_a_coroutine_function_is_cancelled_when_its_time_is_over(application: Application, face: str) -> None:
    [result] = ask(application, face, "rpc", {"name": "hang"}, seconds=0.05)
    assert "TimeoutError" in result["failure"]["error"]


def test_below_wsgi_plain_functions_run_where_they_are_asked_and_below_asgi_on_threads(
    application: Application,
) -> None:
    here = threading.current_thread()
    for face in FACES:
        ask(application, face, "rpc", {"name": "double", "data": 1})
        ask(application, face, "rpc", {"name": "later", "data": 1})
    assert [thread is here for thread in application.seen] == [True, False, False, True]


def test_what_is_handled_is_described_and_its_digest_changes(application: Application) -> None:
    body = b'{"kind":"describe"}'

    def describe() -> Any:
        return ask_wsgi(application.webhook.wsgi, body, signed(body))[1]

    before = describe()
    assert set(before["described"]["rpc"]) == {"double", "later", "hang", "refuse", "fail"}
    assert set(before["described"]["authorize"]) == {"rooms:*"}
    assert describe() == before
    application.on("new")(lambda event: None)
    assert describe()["handlers"] != before["handlers"]


@pytest.mark.parametrize("face", FACES)
def test_who_is_not_believed_is_told_why_and_counted(application: Application, face: str) -> None:
    body = b'{"kind":"describe"}'
    target, enter = getattr(application.webhook, face), FACES[face]
    once = signed(body)
    assert enter(target, body, once)[0] == 200
    assert enter(target, body, signed(body, OLD))[0] == 200, "so that secrets can be rotated"
    refused = {
        "replayed": once,
        "signature": signed(body, "another" * 6),
        "old": signed(body, at=NOW - 301),
        "early": signed(body, at=NOW + 301),
        "unsigned": {},
    }
    for reason, headers in refused.items():
        status, answer = enter(target, body, headers)
        assert (status, set(answer)) == (401, {"error"}), reason
        assert application.webhook.refused[reason] == 1
    for broken in ({TIMESTAMP: "soon"}, {TIMESTAMP: "-1"}, {TIMESTAMP: "9" * 400}, {ID: "x" * 257}, {SIGNATURE: ""}):
        assert enter(target, body, signed(body) | broken)[0] == 401
    assert application.webhook.refused["unsigned"] == 6
    assert enter(target, b"nonsense", signed(b"nonsense"))[0] == 400
    assert enter(target, b"", signed(b""), "GET")[0] == 405


def test_without_a_secret_nobody_is_believed_until_there_is_one() -> None:
    secrets: list[str] = []
    webhook = Webhook(Application().handlers, lambda: secrets, clock=lambda: NOW)
    body = b'{"kind":"describe"}'
    assert ask_wsgi(webhook.wsgi, body, signed(body, ""))[0] == 401
    assert webhook.refused["no_secret"] == 1
    secrets.append(SECRET)
    assert ask_wsgi(webhook.wsgi, body, signed(body))[0] == 200


def test_who_knocks_again_and_again_fills_no_log(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(1_000):
        assert ask_wsgi(application.webhook.wsgi, b"{}", {})[0] == 401
    assert 0 < len(caplog.records) < 100
    assert application.webhook.refused["unsigned"] == 1_000


@pytest.mark.parametrize("face", FACES)
def test_a_body_that_is_too_large_is_not_read(application: Application, face: str) -> None:
    application.webhook.body_limit = 100
    body = b" " * 101
    assert FACES[face](getattr(application.webhook, face), body, signed(body))[0] == 413
    assert not application.webhook.refused


def test_beside_an_application_it_answers_at_its_path_alone(application: Application) -> None:
    def inner(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [b'"inner"']

    beside = application.webhook.wsgi(inner)
    assert ask_wsgi(beside, b"", {})[0] == 401
    application.webhook.path = "/elsewhere"
    assert ask_wsgi(beside, b"", {}) == (200, "inner")


def test_beside_an_asgi_application_it_answers_at_its_path_alone(application: Application) -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'"inner"'})

    beside = application.webhook.asgi(inner)
    assert ask_asgi(beside, b"", {})[0] == 401
    application.webhook.path = "/elsewhere"
    assert ask_asgi(beside, b"", {}) == (200, "inner")


def test_a_server_may_take_it_for_an_application_of_asgi_2(application: Application) -> None:
    """As uvicorn does with what is no coroutine function."""

    async def server(scope: Any, receive: Any, send: Any) -> None:
        face: Any = application.webhook.asgi
        await face(scope)(receive, send)

    body = b'{"kind":"describe"}'
    assert ask_asgi(server, body, signed(body))[0] == 200


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case["name"])
def test_the_vectors_are_answered_as_they_say(case: dict[str, Any]) -> None:
    flow = Decorators()
    flow.rpc("double")(lambda event: {"twice": event.data * 2, "by": event.user})
    webhook = Webhook(flow.handlers, lambda: (case["secret"],), clock=lambda: case["timestamp"])
    headers = {ID: case["id"], TIMESTAMP: str(case["timestamp"]), SIGNATURE: case["signature"]}
    status, answer = ask_wsgi(webhook.wsgi, case["body"].encode(), headers)
    expected = json.loads(case["answer"])
    assert (status, set(answer)) == (200, set(expected))
    assert answer.get("results") == expected.get("results")
