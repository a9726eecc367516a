"""Calls of the API, answered on their HTTP connection without an ASGI application in between.

A push is worth 30 µs to the hub; requests and responses of uvicorn and Starlette took 130 around it (benchmarks: push,
redis-push). What else HTTP asks for, pipelines, keep-alive, shutdown, stays uvicorn's: a call takes the place of its
request-response cycle, and is used by `HttpToolsProtocol` as that would be.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

log = logging.getLogger("messageflow.gateway")

BODY_BYTES = 16 << 20  # of one call; a batch larger than this is better sent as several
ANSWER_TIMEOUT = 30.0  # seconds an answer may take to be taken
UNSENT_BYTES = 64 << 20  # of answers that callers do not take; beyond it what is only read has to wait
STORING = frozenset((b"publish", b"push", b"broadcast_push", b"broadcast"))  # methods whose answers are small
BODY_TIMEOUT = 10.0  # seconds the body of a call may take to arrive
JSON = "application/json"

Headers = Iterable[tuple[bytes, bytes]]


class Answering(Protocol):
    """What carries calls out: `gateway.api.WorkerApi`."""

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the JSON to answer."""


class Calls:
    """Who may call, and what carries it out.

    Args:
        api: carries it out.
        key: what a backend has to present; empty: the API is closed.
    """

    def __init__(self, api: Answering, key: str) -> None:
        self._key = key.encode()
        self.api = api
        self._unsent = 0  # bytes
        self._room = asyncio.Event()
        self._room.set()

    def has_room(self, method: bytes) -> bool:
        """Whether an answer may be made now: what callers ask for and do not take stays within a bound."""
        return method in STORING or self._room.is_set()

    async def room(self) -> None:
        """Return when there is room for any answer."""
        await self._room.wait()

    @contextmanager
    def unsent(self, size: int) -> Iterator[None]:
        """So many bytes of an answer wait for the caller."""
        self._unsent += size
        if self._unsent > UNSENT_BYTES:
            self._room.clear()
        try:
            yield
        finally:
            self._unsent -= size
            if self._unsent <= UNSENT_BYTES:
                self._room.set()

    def are_allowed(self, headers: Headers) -> bool:
        """Whether a request presents the key. It is compared in constant time."""
        found = dict(headers)
        presented = found.get(b"x-api-key") or found.get(b"authorization", b"").removeprefix(b"apikey ")
        return bool(self._key) and hmac.compare_digest(presented, self._key)


class Call:
    """One call, in the place of a `RequestResponseCycle`, whose attributes it has.

    Args:
        calls: where to.
        method: of the API.
        headers: of the request, names in lower case.
        transport: of the connection.
        flow: of the connection.
        answer_headers: of every answer.
        keep_alive: whether the connection stays.
        expects_continue: whether the body waits for a word of ours.
        on_response: called when it is answered.
    """

    def __init__(
        self,
        calls: Calls,
        method: bytes,
        headers: Headers,
        transport: asyncio.WriteTransport,
        flow: FlowControl,
        answer_headers: Headers,
        *,
        keep_alive: bool,
        expects_continue: bool,
        on_response: Callable[[], None],
    ) -> None:
        self._calls = calls
        self._method = method
        self._headers = headers
        self._transport = transport
        self._flow = flow
        self._answer_headers = answer_headers
        self._expects_continue = expects_continue
        self._on_response = on_response
        self.keep_alive = keep_alive
        self.message_event = asyncio.Event()
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_complete = False

    async def run_asgi(self, app: object) -> None:
        """Carry it out and answer it. What uvicorn runs; the application has no part in it."""
        try:
            status, answer = await self._answer()
        except Exception:
            log.exception("call_crashed", extra={"method": self._method.decode("latin-1")})
            self.keep_alive = False
            status, answer = 500, error(100, "the gateway failed, its log says at what")
        if self.disconnected:
            return
        self._transport.write(self._head(status, len(answer)) + answer)
        if self._flow.write_paused:
            await self._be_taken(len(answer))
        self.response_complete = True
        if not self.keep_alive:
            self._transport.close()
        self._on_response()

    async def _answer(self) -> tuple[int, bytes]:
        if not self._calls.are_allowed(self._headers):
            self.keep_alive = self.keep_alive and not self.more_body
            return 401, error(101, "the API key is missing or wrong: send it as the header X-API-Key")
        if self.more_body:
            try:
                async with asyncio.timeout(BODY_TIMEOUT):
                    await self._arrival()
            except TimeoutError:
                self.keep_alive = False
                return 408, error(107, f"the body did not arrive within {BODY_TIMEOUT:.0f} s")
        if len(self.body) > BODY_BYTES:
            self.keep_alive = False
            return 413, error(107, f"the body is over {BODY_BYTES} bytes: send several smaller calls")
        if not self._calls.has_room(self._method):
            await self._calls.room()
        if self.disconnected:
            return 400, b""
        return await self._calls.api.call(self._method.decode("latin-1"), bytes(self.body))

    async def _be_taken(self, size: int) -> None:
        """Return when the caller has taken nearly all of the answer, or is given up."""
        try:
            with self._calls.unsent(size):
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await self._flow.drain()
        except TimeoutError:
            log.debug("answer_not_taken", extra={"method": self._method.decode("latin-1"), "bytes": size})
            self._transport.abort()

    async def _arrival(self) -> None:
        """Return when the body is whole or too large, or when nobody is there any more."""
        if self._expects_continue:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while self.more_body and not self.disconnected and len(self.body) <= BODY_BYTES:
            self._flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()

    def _head(self, status: int, length: int) -> bytes:
        lines = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode())]
        lines += [b"%b: %b" % header for header in self._answer_headers]
        lines.append(b"content-type: %b\r\ncontent-length: %d" % (JSON.encode(), length))
        if not self.keep_alive:
            lines.append(b"connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n"


def error(code: int, message: str) -> bytes:
    """Return an error as the API answers it."""
    return b'{"error":{"code":%d,"message":"%b"}}' % (code, message.encode())
