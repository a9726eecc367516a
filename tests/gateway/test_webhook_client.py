"""An endpoint that misbehaves, and what is sent to it again: in one process, over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from messageflow.core.codes import CommandRefused, Disconnected
from messageflow.gateway import webhook_client
from messageflow.gateway.hooks_webhook import WebhookHooks
from messageflow.gateway.webhook_client import WebhookClient
from messageflow.gateway.webhook_url import parse_webhook_url
from messageflow.hub.hook_calls import HookCalls
from messageflow.hub.hook_limits import HookLimits
from messageflow.hub.hooks import (
    AuthorizeQuestion,
    ClientView,
    ConnectQuestion,
    DisconnectNotice,
    Hooks,
    RpcQuestion,
)
from messageflow.hub.limits import Limits
from messageflow.hub.runtime import Runtime
from tests.waiting import until

ALICE = ClientView("alice", "c", "127.0.0.1")
AUTHORIZE = AuthorizeQuestion(ALICE, "open:x", "subscribe", False)
CALL = RpcQuestion(ALICE, "double", b"21")
DESCRIBED = {"rpc": {"double": "app.f"}, "authorize": {"open:*": "app.g"}, "disconnect": {"*": ""}}
RESULT = {"handlers": "1", "results": [{"result": True}]}
KEY = b"k" * 32


class Endpoint:
    """Answers what it is told to, in turn, then as it should; remembers what was asked."""

    def __init__(self) -> None:
        self.script: list[Any] = []  # None cuts the connection, an int is a status, text all that is sent, bytes a body
        self.asked: list[dict[str, Any]] = []
        self.described: dict[str, dict[str, str]] = DESCRIBED
        self.server: asyncio.Server
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def kinds(self) -> list[str]:
        return [each["kind"] for each in self.asked if each["kind"] != "describe"]

    async def open(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    @property
    def port(self) -> int:
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        self.server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, EOFError):
            pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(next(line for line in head.splitlines() if line.startswith("Content-Length:")).split()[1])
        request = json.loads(await reader.readexactly(length))
        self.asked.append(request)
        status, answer = 200, json.dumps(self._as_it_should(request)).encode()
        if request["kind"] != "describe" and self.script:
            told = self.script.pop(0)
            if told is None:
                return False
            if isinstance(told, str):
                writer.write(told.encode())
                return True
            status, answer = (told, b"busy") if isinstance(told, int) else (200, told)
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(answer), answer))
        return True

    def _as_it_should(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["kind"] == "describe":
            return {"handlers": json.dumps(self.described), "described": self.described}
        return {"handlers": json.dumps(self.described), "results": [{"result": True}] * len(request["events"])}


class Asking:
    """The hooks of a hub that asks an endpoint."""

    def __init__(self, port: int, seconds: float = 5.0) -> None:
        self.runtime = Runtime(Limits(hooks=HookLimits(hook_timeout=seconds)), time.monotonic, time.time)
        self.hooks = HookCalls(self.runtime, Hooks())
        adapter = WebhookHooks(self.runtime, self.hooks)
        url = parse_webhook_url(f"http://127.0.0.1:{port}/hooks")
        self.endpoint = WebhookClient(self.runtime, url, [KEY], 8, adapter.adapt)
        adapter.serve(self.endpoint)
        self.watching = self.runtime.spawn(self.endpoint.watch())

    async def authorize(self) -> bool | None:
        assert self.hooks.authorize is not None
        return (await self.hooks.authorize.ask(AUTHORIZE)).allowed

    async def call(self) -> bytes:
        assert self.hooks.rpc is not None
        return (await self.hooks.rpc.ask(CALL)).data

    async def close(self) -> None:
        self.watching.cancel()
        await asyncio.wait(self.runtime.tasks)
        self.endpoint.close()


@asynccontextmanager
async def asked(seconds: float = 5.0) -> AsyncIterator[tuple[Endpoint, Asking]]:
    endpoint = Endpoint()
    await endpoint.open()
    asking = Asking(endpoint.port, seconds)
    try:
        await until(lambda: asking.hooks.rpc is not None)
        yield endpoint, asking
    finally:
        await asking.close()
        await endpoint.close()


async def code_of(asking: Callable[[], Awaitable[Any]]) -> int:
    """Return the code with which something is refused."""
    with pytest.raises(CommandRefused) as caught:
        await asking()
    return caught.value.error.code


async def test_only_what_is_described_is_asked() -> None:
    async with asked() as (endpoint, asking):
        hooks = asking.hooks
        assert (hooks.connect, hooks.publish, hooks.event, hooks.vacated) == (None, None, None, None)
        assert await asking.authorize() is True
        assert hooks.authorize is not None
        assert hooks.rpc is not None
        other = AuthorizeQuestion(ALICE, "news", "subscribe", False)
        assert (await hooks.authorize.ask(other)).allowed is None
        assert await code_of(lambda: hooks.rpc.ask(RpcQuestion(ALICE, "none"))) == 104  # type: ignore[union-attr]
        assert endpoint.kinds == ["authorize"]
        endpoint.described = {"publish": {"*": "app.h"}}
        assert await asking.authorize() is True  # whose answer says that something has changed
        await until(lambda: hooks.publish is not None)
        assert [getattr(hooks, kind) for kind in ("rpc", "authorize")] == [None, None]


@pytest.mark.parametrize("trouble", [None, 502, 503, 504])
async def test_what_may_be_asked_twice_is_asked_again_when_its_answer_is_lost(trouble: int | None) -> None:
    async with asked() as (endpoint, asking):
        endpoint.script = [trouble, trouble]
        assert await asking.authorize() is True
        assert endpoint.kinds == ["authorize"] * 3


@pytest.mark.parametrize("trouble", [None, 502, 503, 504])
async def test_a_call_that_was_sent_is_never_sent_again(trouble: int | None) -> None:
    async with asked() as (endpoint, asking):
        for _ in range(2):  # on a fresh connection, and on one that was kept
            endpoint.script = [trouble]
            assert await code_of(asking.call) == 113, "it may have been carried out"
            await until(asking.endpoint._is_there.is_set)
            assert await asking.call() == b"true"
        assert endpoint.kinds == ["rpc"] * 4


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"results":[]}',
        b'{"results":[{"result":1},{"result":1}]}',
        b'{"results":[{"result":"maybe"}]}',
        b'{"results":[{"failure":{"handler":"app.g","error":"ValueError()"}}]}',
        401,
        404,
        500,
    ],
)
async def test_nonsense_is_a_failure_and_not_an_outage(nonsense: object) -> None:
    async with asked() as (endpoint, asking):
        endpoint.script = [nonsense]
        assert await code_of(asking.authorize) == 100
        assert await asking.authorize() is True
        counters = asking.runtime.counters
        assert (counters.hook_failures["authorize"], counters.webhook_outages) == (1, 0)


async def test_what_is_no_http_is_a_failure() -> None:
    async with asked() as (endpoint, asking):
        endpoint.script = ["hello\r\n\r\n"]
        assert await code_of(asking.call) == 113
        await until(asking.endpoint._is_there.is_set)
        assert await asking.call() == b"true"


async def test_before_it_is_known_nobody_gets_in() -> None:
    closed = Endpoint()
    await closed.open()
    port = closed.port
    await closed.close()
    asking = Asking(port)
    try:
        connect = asking.hooks.connect
        assert connect is not None
        with pytest.raises(Disconnected) as caught:
            await connect.ask(ConnectQuestion(ALICE))
        assert caught.value.disconnect.code == 3004
        await closed.open(port)
        await until(lambda: asking.hooks.connect is None)
    finally:
        await asking.close()
        await closed.close()


async def test_while_it_is_away_one_request_at_a_time_looks_for_it_and_notices_wait() -> None:
    async with asked() as (endpoint, asking):
        port = endpoint.port
        await endpoint.close()
        assert await code_of(asking.call) == 100
        told = asking.runtime.spawn(asking.hooks.disconnect.tell(DisconnectNotice(ALICE)))  # type: ignore[union-attr]
        calls = await asyncio.gather(*(code_of(asking.call) for _ in range(200)))
        assert set(calls) == {100}
        again = Endpoint()
        await again.open(port)
        await told
        assert asking.runtime.counters.webhook_outages == 1
        assert (again.asked[0]["kind"], again.kinds) == ("describe", ["disconnect"])
        assert len(again.asked) <= 3
        await again.close()


async def test_a_notice_waits_longer_for_the_application_than_a_call_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_client, "LEEWAY", 0.0)
    async with asked(seconds=0.05) as (endpoint, asking):
        port = endpoint.port
        await endpoint.close()
        told = asking.runtime.spawn(asking.hooks.disconnect.tell(DisconnectNotice(ALICE)))  # type: ignore[union-attr]
        await asyncio.sleep(0.2)
        assert not told.done()
        again = Endpoint()
        await again.open(port)
        await told
        assert again.kinds == ["disconnect"]
        await again.close()


async def test_notices_travel_together_and_each_is_told_its_own_result() -> None:
    async with asked() as (endpoint, asking):
        results = [{"result": None}, {"failure": {"error": "of one"}}] + [{"result": None}] * 98
        endpoint.script = [json.dumps({"results": results}).encode()]
        notices = [DisconnectNotice(ClientView(f"user-{number}", "c", "")) for number in range(250)]
        assert asking.hooks.disconnect is not None
        await asyncio.gather(*map(asking.hooks.disconnect.tell, notices))
        sizes = [len(each["events"]) for each in endpoint.asked if each["kind"] == "disconnect"]
        assert sorted(sizes) == [50, 100, 100]
        users = [event["user"] for each in endpoint.asked for event in each.get("events", ())]
        assert sorted(users) == sorted(notice.client.user for notice in notices)
        assert asking.runtime.counters.hook_failures["disconnect"] == 1


async def test_notices_that_a_slow_application_has_not_come_to_are_sent_again() -> None:
    async with asked() as (endpoint, asking):
        endpoint.script = [b'{"results":[{"result":null},{"failure":{"error":"of one"}}]}']
        notices = [DisconnectNotice(ClientView(f"user-{number}", "c", "")) for number in range(5)]
        assert asking.hooks.disconnect is not None
        await asyncio.gather(*map(asking.hooks.disconnect.tell, notices))
        users = [[event["user"][-1] for event in each.get("events", ())] for each in endpoint.asked]
        assert [each for each in users if each] == [list("01234"), list("234")]
        assert asking.runtime.counters.hook_failures["disconnect"] == 1


async def test_a_notice_whose_handler_hangs_is_no_outage_and_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_client, "LEEWAY", 0.0)
    async with asked(seconds=0.3) as (endpoint, asking):
        endpoint.script = [""]  # nothing, on a connection that stays
        assert asking.hooks.disconnect is not None
        await asking.hooks.disconnect.tell(DisconnectNotice(ALICE))
        assert endpoint.kinds == ["disconnect"]
        counters = asking.runtime.counters
        assert (counters.hook_failures["disconnect"], counters.webhook_outages) == (1, 0)


async def test_one_that_answers_too_late_is_a_timeout_of_its_call_alone() -> None:
    async with asked(seconds=0.3) as (_, asking):
        hanging = asyncio.Event()
        answer = Endpoint._answer

        async def slow(self: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
            if not hanging.is_set():
                hanging.set()
                await asyncio.sleep(3600)
            return await answer(self, reader, writer)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Endpoint, "_answer", slow)
            assert await code_of(asking.call) == 100
        assert asking.runtime.counters.hook_timeouts["rpc"] == 1
        assert asking.runtime.counters.webhook_outages == 0
