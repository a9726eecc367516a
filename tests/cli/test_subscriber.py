"""A listener on a real socket, against a scripted gateway: it notices silence, comes back, resumes, gives up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from messageflow.cli import subscriber as subscriber_module
from messageflow.cli.listen_protocol import Arrived, Event
from messageflow.cli.subscriber import Subscriber, jittered
from messageflow.errors import ConfigurationError, Refused
from tests.ports import free_port

Script = Callable[[asyncio.StreamWriter, dict[str, str]], Awaitable[None]]
HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n"


def opening(ping: int = 15) -> str:
    return HEAD + f'event: connect\ndata: {{"client":"c","channels":["#alice"],"ping":{ping}}}\n\n'


def publication(offset: int) -> str:
    said = {"channel": "#alice", "offset": offset, "data": offset}
    return f"data: {json.dumps(said)}\nid: ,k:e:{offset}:t\n\n"


def goodbye(code: int, reason: str) -> str:
    return f"event: disconnect\ndata: {json.dumps({'code': code, 'reason': reason})}\n\n"


def refusal(status: int, body: str = "") -> str:
    return f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"


def says(*texts: str) -> Script:
    """Say this, and end."""

    async def script(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
        writer.write("".join(texts).encode())
        await writer.drain()

    return script


def falls_silent(*texts: str) -> Script:
    """Say this, and nothing more until the listener has gone."""

    async def script(writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        await says(*texts)(writer, headers)
        await writer.wait_closed()

    return script


@asynccontextmanager
async def gateway(*scripts: Script, port: int = 0, requests: list[dict[str, str]] | None = None) -> AsyncIterator[str]:
    """Serve one script a connection, in order; each is given the headers of its request."""
    waiting = iter(scripts)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        headers = {"": first} | {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if requests is not None:
            requests.append(headers)
        try:
            await next(waiting)(writer, headers)
        finally:
            writer.close()

    async with await asyncio.start_server(converse, "127.0.0.1", port) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def listener(url: str, stop_at: int, notes: list[str] | None = None) -> tuple[Subscriber, list[int]]:
    offsets: list[int] = []
    tokens = iter(f"token-{number}" for number in range(10))

    def heard(event: Event) -> bool:
        if isinstance(event, Arrived):
            offsets.append(event.offset)
        return not offsets or offsets[-1] < stop_at

    said: list[str] = [] if notes is None else notes
    return Subscriber(url, lambda: next(tokens), heard, said.append, delay=lambda _: 0.0), offsets


STAYS = says(opening(), publication(1))


async def test_listener_ends_when_it_has_heard_enough() -> None:
    requests: list[dict[str, str]] = []
    script = says(opening(), publication(1), publication(2), publication(3))
    async with gateway(script, requests=requests) as url:
        subscriber, offsets = listener(f"{url}/flow", stop_at=2)
        await subscriber.run()
    assert offsets == [1, 2]
    assert requests[0][""] == "GET /flow/connection/uni_sse?as=envelope HTTP/1.1"
    assert (requests[0]["authorization"], "last-event-id" in requests[0]) == ("Bearer token-0", False)


async def test_after_a_lost_connection_it_resumes_with_a_fresh_token() -> None:
    async def dies(writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        await says(opening(), publication(1), publication(2)[:-1])(writer, headers)

    requests: list[dict[str, str]] = []
    notes: list[str] = []
    async with gateway(dies, says(opening(), publication(2)), requests=requests) as url:
        subscriber, offsets = listener(url, stop_at=2, notes=notes)
        await subscriber.run()
    assert offsets == [1, 2]
    assert (requests[1]["authorization"], requests[1]["last-event-id"]) == ("Bearer token-1", ",k:e:1:t")
    assert notes == ["connection lost; trying again in 0.0 s"]


@pytest.mark.parametrize("said", [[], [HEAD], [opening(ping=1)], [opening(ping=1), ":\n\n"]])
async def test_a_gateway_that_falls_silent_is_given_up(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_module, "SILENCE", 0.1)
    monkeypatch.setattr(subscriber_module, "_OPEN_TIMEOUT", 1.0)
    notes: list[str] = []
    async with gateway(falls_silent(*said), *[STAYS] * 9) as url:
        await asyncio.wait_for(listener(url, stop_at=1, notes=notes)[0].run(), 60)
    assert notes[0] == "no answer; trying again in 0.0 s"


async def test_a_gateway_that_has_let_it_in_may_say_nothing_until_its_next_ping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def waits(writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        await says(opening())(writer, headers)
        await asyncio.sleep(2.5)  # more than an answer may take
        await says(publication(1))(writer, headers)

    monkeypatch.setattr(subscriber_module, "_OPEN_TIMEOUT", 2.0)
    notes: list[str] = []
    async with gateway(waits) as url:
        await listener(url, stop_at=1, notes=notes)[0].run()
    assert notes == []


@pytest.mark.parametrize("code", [3001, 3005, 3012, 4000])
async def test_an_end_that_invites_back_is_followed(code: int) -> None:
    notes: list[str] = []
    async with gateway(says(opening(), goodbye(code, "come back")), STAYS) as url:
        await listener(url, stop_at=1, notes=notes)[0].run()
    assert notes == [f"come back ({code}); trying again in 0.0 s"]


@pytest.mark.parametrize("code", [3500, 3503, 3504, 4500])
async def test_a_terminal_end_is_an_error(code: int) -> None:
    async with gateway(says(opening(), goodbye(code, "stay away"))) as url:
        with pytest.raises(Refused) as caught:
            await listener(url, stop_at=1)[0].run()
    assert (caught.value.code, caught.value.text) == (code, "stay away")


@pytest.mark.parametrize(
    ("status", "body", "note"),
    [
        (401, '{"error":{"code":109,"message":"token expired"}}', "token expired"),
        (503, '{"error":{"code":3001,"message":"shutdown"}}', "shutdown (3001)"),
        (429, "", "HTTP 429"),
        (502, "<html>", "HTTP 502"),
    ],
)
async def test_a_refusal_that_may_pass_is_tried_again(status: int, body: str, note: str) -> None:
    notes: list[str] = []
    async with gateway(says(refusal(status, body)), STAYS) as url:
        subscriber, offsets = listener(url, stop_at=1, notes=notes)
        await subscriber.run()
    assert (offsets, notes) == ([1], [f"{note}; trying again in 0.0 s"])


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (refusal(401, '{"error":{"code":3500,"message":"invalid token"}}'), "error 3500: invalid token"),
        (refusal(404), "no gateway answers"),
        (refusal(403), "error 403: refused"),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<!doctype html>", "no gateway answers"),
        (HEAD + "data: hello\n\n", "no gateway answers"),
    ],
)
async def test_a_refusal_for_good_is_an_error(answer: str, text: str) -> None:
    async with gateway(says(answer)) as url:
        with pytest.raises(Refused, match=text):
            await listener(url, stop_at=1)[0].run()


async def test_gateway_that_is_not_there_yet_is_waited_for() -> None:
    heard: list[Event] = []
    tried: asyncio.Queue[str] = asyncio.Queue()

    def first_publication(event: Event) -> bool:
        heard.append(event)
        return not isinstance(event, Arrived)

    url = f"http://127.0.0.1:{(port := free_port())}"
    subscriber = Subscriber(url, lambda: "token", first_publication, tried.put_nowait, delay=lambda _: 0.01)
    running = asyncio.create_task(subscriber.run())
    assert "trying again" in await tried.get()
    async with gateway(STAYS, port=port):
        await running
    assert isinstance(heard[-1], Arrived)


async def test_what_speaks_no_http_is_tried_again() -> None:
    notes: list[str] = []
    async with gateway(says("220 mail.example.com\r\n"), STAYS) as url:
        await listener(url, stop_at=1, notes=notes)[0].run()
    assert "does not speak HTTP" in notes[0]


@pytest.mark.parametrize("url", ["", "example.com", "ftp://example.com", "http://", "redis://127.0.0.1"])
async def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        await listener(url, stop_at=1)[0].run()


@pytest.mark.parametrize(("failures", "limit"), [(1, 0.4), (2, 0.8), (8, 20.0), (100_000, 20.0)])
def test_delay_has_a_limit_that_doubles(failures: int, limit: float) -> None:
    assert all(0 <= jittered(failures) <= limit for _ in range(100))
