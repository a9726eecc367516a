"""Streams over HTTP: ours, Centrifugo's, Nchan's and sse-starlette's, each as a server whose subscribers read one.

The servers are those of the modules beside this one; here is what their readers ask for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from benchmarks.servers import peers
from benchmarks.servers.base import Server, SubscribeSide, free_port
from benchmarks.servers.centrifugo import EVERYBODY, centrifugo
from benchmarks.servers.gateway import CHANNEL, gateway, token
from benchmarks.servers.nchan import nchan

HEAD = "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n{body}"
EVENT_STREAM = "Accept: text/event-stream\r\n"
Ask = Callable[[str], str]
"""From a token, the request for a stream."""


def event_source(scratch: Path, flags: tuple[str, ...] = ()) -> Server:
    """Our plain event stream."""
    return _read(gateway(scratch, flags), lambda each: get("/connection/uni_sse", bearer(each)), "event: connect")


def lines(scratch: Path, flags: tuple[str, ...] = ()) -> Server:
    """Our stream of lines for scripts."""
    return _read(gateway(scratch, flags), lambda each: get("/connection/uni_http_stream", bearer(each)), '"connect"')


def emulated_events(scratch: Path, flags: tuple[str, ...] = ()) -> Server:
    """Our event stream for official SDKs."""

    def ask(each: str) -> str:
        return get(f"/connection/sse?cf_connect={quote(json.dumps(connect(each)))}", EVENT_STREAM)

    return _read(gateway(scratch, flags), ask, '"connect"')


def emulated_lines(scratch: Path, flags: tuple[str, ...] = ()) -> Server:
    """Our stream of lines for official SDKs."""
    return _read(gateway(scratch, flags), lambda each: post("/connection/http_stream", connect(each)), '"connect"')


def centrifugo_event_source(scratch: Path) -> Server:
    """Centrifugo's one-way event stream.

    Raises:
        Unavailable: the environment names no binary of it.
    """
    server = replace(centrifugo(scratch), environment={"CENTRIFUGO_UNI_SSE_ENABLED": "true"})
    return _read(server, lambda each: post("/connection/uni_sse", {"token": each}), '"connect"', EVERYBODY)


def nchan_event_source(scratch: Path) -> Server:
    """Nchan's event stream.

    Raises:
        Unavailable: nginx or the module is missing and cannot be installed.
    """
    return _everybody(nchan(scratch), "/events")


def sse_starlette(_: Path) -> Server:
    """sse-starlette below uvicorn.

    Raises:
        Unavailable: it cannot be installed.
    """
    port = free_port()
    serve = ("-m", "uvicorn", "benchmarks.peers.sse_starlette_app:application", "--port", str(port))
    server = Server(
        name="sse-starlette",
        command=(str(peers.python()), *serve, "--log-level", "warning", "--backlog", "4096"),
        port=port,
        publish=peers.PUBLISH,
        environment=peers.variables("", {}),
    )
    return _everybody(server, "/events")


def get(path: str, more: str) -> str:
    """A request without a body."""
    return HEAD.format(method="GET", path=path, more=more, body="")


def post(path: str, body: object) -> str:
    """A request with one."""
    text = json.dumps(body)
    more = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
    return HEAD.format(method="POST", path=path, more=more, body=text)


def bearer(each: str) -> str:
    """The header that shows a token."""
    return f"{EVENT_STREAM}Authorization: Bearer {each}\r\n"


def connect(each: str) -> dict[str, object]:
    """The first message of the native protocol."""
    return {"id": 1, "connect": {"token": each}}


def _read(server: Server, ask: Ask, ready_text: str, *more: str) -> Server:
    """A server that subscribes readers to what their token names."""

    def requests(connections: int) -> Iterator[str]:
        return (ask(token(number, (CHANNEL, *more))) for number in range(connections))

    return replace(server, subscribe=SubscribeSide("", requests, ready_text, stream=True))


def _everybody(server: Server, path: str) -> Server:
    """A server that subscribes whoever asks, from when the answer begins."""

    def requests(connections: int) -> Iterator[str]:
        return (get(path, EVENT_STREAM) for _ in range(connections))

    return replace(server, subscribe=SubscribeSide("", requests, stream=True))
