"""A listener on a real socket, against a scripted gateway: it answers pings, comes back, resumes, gives up in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from messageflow.cli import subscriber as subscriber_module
from messageflow.cli.listen_protocol import Arrived, Event
from messageflow.cli.subscriber import Subscriber, jittered, make_websocket_url
from messageflow.errors import ConfigurationError, Refused

Script = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]


def opening(offset: int, ping: int = 15, **more: Any) -> str:
    sub = {"recoverable": True, "epoch": "e", "offset": offset} | more
    return json.dumps({"id": 1, "connect": {"client": "c", "version": "v", "ping": ping, "subs": {"#alice": sub}}})


def publication(offset: int) -> str:
    return json.dumps({"push": {"channel": "#alice", "pub": {"data": offset, "offset": offset}}})


@asynccontextmanager
async def gateway(*scripts: Script) -> AsyncIterator[str]:
    """Serve one script a connection, in order; each is given the first command."""
    waiting = iter(scripts)

    async def converse(socket: ServerConnection) -> None:
        await next(waiting)(socket, json.loads(await socket.recv()))

    async with serve(converse, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def listener(url: str, stop_at: int, notes: list[str] | None = None) -> tuple[Subscriber, list[int]]:
    offsets: list[int] = []
    tokens = iter(f"token-{number}" for number in range(10))

    def heard(event: Event) -> bool:
        if isinstance(event, Arrived):
            offsets.append(event.offset)
        return not offsets or offsets[-1] < stop_at

    said: list[str] = [] if notes is None else notes
    return Subscriber(url, lambda: next(tokens), heard, said.append, delay=lambda _: 0.0), offsets


async def test_listener_ends_when_it_has_heard_enough() -> None:
    async def three(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send("\n".join([opening(0), publication(1), publication(2), publication(3)]))

    async with gateway(three) as url:
        subscriber, offsets = listener(url, stop_at=2)
        await subscriber.run()
    assert offsets == [1, 2]


async def test_ping_is_answered() -> None:
    answers: list[str | bytes] = []

    async def ping(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send(opening(0))
        await socket.send("{}")
        answers.append(await socket.recv())
        await socket.send(publication(1))

    async with gateway(ping) as url:
        await listener(url, stop_at=1)[0].run()
    assert answers == ["{}"]


async def test_after_a_lost_connection_it_resumes_with_a_fresh_token() -> None:
    async def dies(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send("\n".join([opening(0), publication(1)]))
        socket.transport.abort()

    commands: list[dict[str, Any]] = []

    async def recovers(socket: ServerConnection, command: dict[str, Any]) -> None:
        commands.append(command["connect"])
        missed = [{"data": 2, "offset": 2}]
        await socket.send(opening(1, recovered=True, was_recovering=True, publications=missed))

    notes: list[str] = []
    async with gateway(dies, recovers) as url:
        subscriber, offsets = listener(url, stop_at=2, notes=notes)
        await subscriber.run()
    assert offsets == [1, 2]
    assert commands[0]["token"] == "token-1"
    assert commands[0]["subs"] == {"#alice": {"recover": True, "epoch": "e", "offset": 1, "tag": ""}}
    assert notes == ["connection lost; trying again in 0.0 s"]


async def arrives(socket: ServerConnection, _: dict[str, Any]) -> None:
    await socket.send("\n".join([opening(0), publication(1)]))


@pytest.mark.parametrize("said", [[], [opening(0, ping=1)], [opening(0, ping=1), "{}"]])
async def test_a_gateway_that_falls_silent_is_given_up(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_module, "SILENCE", 0.1)
    monkeypatch.setattr(subscriber_module, "_OPEN_TIMEOUT", 1.0)

    async def falls_silent(socket: ServerConnection, _: dict[str, Any]) -> None:
        for message in said:
            await socket.send(message)
        await socket.wait_closed()

    notes: list[str] = []
    async with gateway(falls_silent, arrives) as url:
        await asyncio.wait_for(listener(url, stop_at=1, notes=notes)[0].run(), 60)
    assert notes == ["no answer; trying again in 0.0 s"]


@pytest.mark.parametrize("ping", [15, 0])
async def test_a_gateway_that_has_let_it_in_may_say_nothing_until_its_next_ping(
    ping: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send(opening(0, ping=ping))
        await asyncio.sleep(2.5)  # more than an answer to `connect` may take
        await socket.send(publication(1))

    monkeypatch.setattr(subscriber_module, "_OPEN_TIMEOUT", 2.0)
    notes: list[str] = []
    async with gateway(waits) as url:
        await listener(url, stop_at=1, notes=notes)[0].run()
    assert notes == []


@pytest.mark.parametrize("code", [3001, 3005, 3012, 4000, 1001])
async def test_close_code_that_invites_back_is_followed(code: int) -> None:
    async def closes(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.close(code, "come back")

    async def stays(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send("\n".join([opening(0), publication(1)]))

    notes: list[str] = []
    async with gateway(closes, stays) as url:
        await listener(url, stop_at=1, notes=notes)[0].run()
    assert notes == [f"come back ({code}); trying again in 0.0 s"]


@pytest.mark.parametrize("code", [3500, 3503, 3504, 4500])
async def test_terminal_close_code_is_an_error(code: int) -> None:
    async def closes(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.close(code, "stay away")

    async with gateway(closes) as url:
        with pytest.raises(Refused) as caught:
            await listener(url, stop_at=1)[0].run()
    assert (caught.value.code, caught.value.text) == (code, "stay away")


@pytest.mark.parametrize(("code", "temporary"), [(109, False), (100, True)])
async def test_error_that_may_pass_is_tried_again(code: int, temporary: bool) -> None:
    async def denies(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send(json.dumps({"id": 1, "error": {"code": code, "message": "no", "temporary": temporary}}))

    async def stays(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send("\n".join([opening(0), publication(1)]))

    async with gateway(denies, stays) as url:
        subscriber, offsets = listener(url, stop_at=1)
        await subscriber.run()
    assert offsets == [1]


async def test_error_that_stays_is_raised() -> None:
    async def denies(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send('{"id":1,"error":{"code":101,"message":"unauthorized"}}')

    async with gateway(denies) as url:
        with pytest.raises(Refused, match="error 101: unauthorized"):
            await listener(url, stop_at=1)[0].run()


async def test_gateway_that_is_not_there_yet_is_waited_for(unused_tcp_port: int) -> None:
    async def stays(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("\n".join([opening(0), publication(1)]))

    heard: list[Event] = []
    tried: asyncio.Queue[str] = asyncio.Queue()

    def first_publication(event: Event) -> bool:
        heard.append(event)
        return not isinstance(event, Arrived)

    url = f"ws://127.0.0.1:{unused_tcp_port}"
    subscriber = Subscriber(url, lambda: "token", first_publication, tried.put_nowait, delay=lambda _: 0.01)
    running = asyncio.create_task(subscriber.run())
    assert "trying again" in await tried.get()
    async with serve(stays, "127.0.0.1", unused_tcp_port):
        await running
    assert isinstance(heard[-1], Arrived)


@pytest.mark.parametrize(("status", "text"), [(403, "the Origin is not allowed"), (404, "no gateway answers")])
async def test_handshake_that_is_refused_for_good_is_an_error(status: int, text: str) -> None:
    def refuse(socket: ServerConnection, _: Request) -> Response:
        return socket.respond(HTTPStatus(status), "")

    async def never(_: ServerConnection) -> None:
        raise AssertionError("no connection was made")

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Refused, match=text):
            await listener(url, stop_at=1)[0].run()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/connection/websocket"),
        ("https://example.com/", "wss://example.com/connection/websocket"),
        ("https://example.com/flow", "wss://example.com/flow/connection/websocket"),
        ("wss://example.com/own", "wss://example.com/own"),
    ],
)
def test_websocket_address_of_a_gateway(url: str, expected: str) -> None:
    assert make_websocket_url(url) == expected


@pytest.mark.parametrize("url", ["", "example.com", "ftp://example.com", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="address of the gateway is none"):
        make_websocket_url(url)


@pytest.mark.parametrize(("failures", "limit"), [(1, 0.4), (2, 0.8), (8, 20.0), (100_000, 20.0)])
def test_delay_has_a_limit_that_doubles(failures: int, limit: float) -> None:
    assert all(0 <= jittered(failures) <= limit for _ in range(100))
