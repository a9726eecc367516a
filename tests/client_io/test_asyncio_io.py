"""Connections over asyncio I/O: kept for an event loop, dropped when a call is cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop
from asgiref.sync import async_to_sync

from messageflow import AsyncFlow, OutcomeUnknown, Receipt
from messageflow.client_io import asyncio_io
from messageflow.client_io.asyncio_io import ASYNCIO
from messageflow.client_io.http1 import parse_url
from messageflow.client_io.http_client import HttpClient
from messageflow.client_io.outcome import NoResponse, Response
from tests.client_io.children import in_child
from tests.publisher.scripted import RECEIPT, ScriptedServer, Silence, raw, result, say
from tests.waiting import wait_until


async def heard(silence: Silence) -> None:
    assert await asyncio.to_thread(silence.heard.wait, 10)


async def test_cancelled_call_takes_its_connection_with_it(server: ScriptedServer) -> None:
    silence = Silence(then=result({**RECEIPT, "offset": 666}))
    server.script.append(silence)
    async with AsyncFlow(server.url) as flow:
        call = asyncio.create_task(flow.push("alice", "t"))
        await heard(silence)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        silence.released.set()
        assert (await flow.push("alice", "t")).offset == 7
    assert [request.connection for request in server.requests] == [1, 2]


async def test_calls_at_once_have_a_connection_each(server: ScriptedServer) -> None:
    async with AsyncFlow(server.url) as flow:
        await asyncio.gather(*(flow.push(f"user{number}", "t", number) for number in range(20)))
        await flow.push("alice", "t")
    assert server.connections <= 20
    assert sorted(request.body["user"] for request in server.requests[:20]) == sorted(f"user{n}" for n in range(20))


async def test_number_of_connections_is_bounded(server: ScriptedServer) -> None:
    client = HttpClient(ASYNCIO, parse_url(server.url), size=1)
    call = ("push", b'{"idempotency_key":"k"}')
    silence = Silence(then=result(RECEIPT))
    server.script.append(silence)
    first = asyncio.create_task(client.exchange(*call, time.monotonic() + 10))
    await heard(silence)
    assert await client.exchange(*call, time.monotonic() + 0.05) == NoResponse("all 1 connections are busy")
    silence.released.set()
    assert isinstance(await first, Response)
    assert isinstance(await client.exchange(*call, time.monotonic() + 10), Response)
    assert server.connections == 1
    client.close()
    await asyncio.sleep(0)


async def test_connection_cut_while_idle_is_replaced(server: ScriptedServer) -> None:
    async with AsyncFlow(server.url) as flow:
        for _ in range(3):
            await flow.push("alice", "t")
            server.cut()
    assert len(set(server.keys)) == 3


async def test_farewell_on_an_idle_connection_is_nobodys_answer(server: ScriptedServer) -> None:
    def step(connection: object) -> bool:
        result(RECEIPT)(connection)  # type: ignore[arg-type]
        say(408, b"")(connection)  # type: ignore[arg-type]
        return False

    server.script.append(step)
    async with AsyncFlow(server.url) as flow:
        assert [(await flow.push("alice", "t")).offset for _ in range(2)] == [7, 7]


async def test_answer_cut_in_the_middle_is_no_answer(server: ScriptedServer) -> None:
    server.script.extend([raw(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"result"')] * 20)
    with pytest.raises(OutcomeUnknown, match="closed"):
        await AsyncFlow(server.url, timeout=1.0).push("alice", "t")


async def test_answer_that_ends_with_the_connection_is_one(server: ScriptedServer) -> None:
    server.script.append(raw(b'HTTP/1.1 200 OK\r\n\r\n{"result":{"offset":3}}'))
    assert (await AsyncFlow(server.url).push("alice", "t")).offset == 3


def test_each_event_loop_has_its_own_connections(server: ScriptedServer) -> None:
    flow = AsyncFlow(server.url)

    async def push() -> int:
        async with flow:
            return (await flow.push("alice", "t")).offset

    with ThreadPoolExecutor(4) as threads:
        offsets = list(threads.map(lambda _: asyncio.run(push()), range(8)))
    assert offsets == [7] * 8
    assert server.connections == 8


def test_ended_event_loops_are_forgotten(server: ScriptedServer) -> None:
    async def push() -> None:
        async with AsyncFlow(server.url) as flow:
            await flow.push("alice", "t")

    for _ in range(5):
        asyncio.run(push())
    assert len([loop for loop in asyncio_io._loops.table() if loop.is_closed()]) <= 1


async def test_client_is_one_for_a_loop_and_an_address() -> None:
    found = [ASYNCIO.get_client(parse_url(url), HttpClient) for url in ("http://gateway", "http://gateway:80/")]
    assert found[0] is found[1]


Work = Callable[[], Coroutine[Any, Any, Receipt]]


@pytest.mark.parametrize(
    "run",
    [lambda work: asyncio.run(work()), lambda work: uvloop.run(work()), lambda work: async_to_sync(work)()],
    ids=["asyncio.run", "uvloop.run", "async_to_sync"],
)
def test_a_flow_that_nobody_closes_leaves_nothing_open_when_its_loop_ends(
    server: ScriptedServer, run: Callable[[Work], Receipt]
) -> None:
    flow = AsyncFlow(server.url)

    async def push() -> Receipt:
        return await flow.push("alice", "t")

    for number in (1, 2):
        assert run(push).offset == 7
        assert server.connections == number
        wait_until(lambda: server.open == 0)


def test_a_child_that_ends_a_loop_of_its_parent_closes_nothing(server: ScriptedServer) -> None:
    flow = AsyncFlow(server.url)
    loop = asyncio.new_event_loop()

    def end_generators() -> bool:
        loop.run_until_complete(loop.shutdown_asyncgens())
        return True

    assert loop.run_until_complete(flow.push("alice", "t")).offset == 7
    assert in_child(end_generators)
    assert loop.run_until_complete(flow.push("alice", "t")).offset == 7
    assert server.connections == 1
    loop.run_until_complete(flow.close())
    loop.close()
