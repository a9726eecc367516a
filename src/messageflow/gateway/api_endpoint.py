"""The endpoint of the server API: calls, answered on their HTTP connection without an application in between.

A push is worth 30 µs to the hub; requests and responses of uvicorn and Starlette took 130 around it (benchmarks: push,
redis-push). Owns the key, and the bytes of answers that callers do not take.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from messageflow.api.methods import STORE_ONE
from messageflow.core.codes import BAD_REQUEST, INTERNAL, UNAUTHORIZED, ErrorCode
from messageflow.gateway.front_door.deadlines import Deadlines
from messageflow.gateway.front_door.endpoint import EndpointConnection
from messageflow.gateway.front_door.head import CHUNKED, Head
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.response import JSON, HttpResponse
from messageflow.gateway.paths import Paths

log = logging.getLogger("messageflow.gateway")

STORING = {name.encode(): name for name in (*STORE_ONE, "broadcast")}  # methods whose answers are small
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_tuple = tuple.__new__  # a fifth of what the class's own takes (benchmarks: push)

Headers = Iterable[tuple[bytes, bytes]]


class Answering(Protocol):
    """What carries calls out: `gateway.worker_api.WorkerApi`."""

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the JSON to answer."""

    def start(self, method: str, body: bytes, answer: Callable[[int, bytes], None]) -> bool:
        """The same without a coroutine, answered now or later; False, and nothing is done, where that cannot be."""


class ApiKey:
    """What a backend has to present.

    Args:
        key: empty: the API is closed.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    @property
    def secret(self) -> bytes:
        """The key itself, which every node has; empty where there is none."""
        return self._key

    def is_in(self, headers: Headers) -> bool:
        """Whether a request presents the key. It is compared in constant time."""
        found = dict(headers)
        presented = found.get(b"x-api-key") or found.get(b"authorization", b"").removeprefix(b"apikey ")
        return bool(self._key) and hmac.compare_digest(presented, self._key)


class ApiEndpoint:
    """A `front_door.endpoint.HttpEndpoint`.

    Args:
        api: carries calls out.
        key: what callers present.
        paths: which are calls.
        limits: of bodies and answers.
    """

    def __init__(self, api: Answering, key: ApiKey, paths: Paths, limits: HttpLimits) -> None:
        self.api = api
        self.limits = limits
        self.late_bodies: Deadlines[ApiCall] = Deadlines(limits.body_timeout, ApiCall.end_late)
        self.stuck_answers: Deadlines[ApiCall] = Deadlines(limits.answer_timeout, ApiCall.give_up)
        self._key = key
        self._paths = paths
        self._unsent = 0  # bytes
        self._room = asyncio.Event()
        self._room.set()

    def begin(self, connection: EndpointConnection, head: Head) -> ApiCall | None:
        """Begin to answer a request; None when it is answered already."""
        if head.call is not None and not connection.body_is_due:
            return ApiCall(self, connection, head.call)
        if head.method != b"POST":
            connection.answer(_not_a_call())
            return None
        if not self._key.is_in(head.headers):
            connection.keep_alive = connection.keep_alive and not connection.body_is_due
            connection.answer(
                failure(401, UNAUTHORIZED, "the API key is missing or wrong: send it as the header X-API-Key")
            )
            return None
        method = self._paths.method_called(head.path) or b""
        call = ApiCall(self, connection, method)
        if head.length > self.limits.body_bytes:
            call.refuse_size()
            return None
        if head.length >= 0 and not head.expects_continue:
            head.call = method
        if connection.body_is_due and (head.length == CHUNKED or head.length > connection.pending):
            call.wait_for_body()
            if head.expects_continue:
                connection.transport.write(CONTINUE)
        return call

    def has_room(self, method: bytes) -> bool:
        """Whether an answer may be made now: what callers ask for and do not take stays within a bound."""
        return method in STORING or self._room.is_set()

    async def room(self) -> None:
        """Return when there is room for any answer."""
        await self._room.wait()

    def count_unsent(self, size: int) -> None:
        """So many bytes of an answer wait for the caller; of a negative size, no longer."""
        self._unsent += size
        if self._unsent > self.limits.unsent_bytes:
            self._room.clear()
        else:
            self._room.set()


class ApiCall:
    """One call: a `front_door.endpoint.Exchange`.

    Args:
        endpoint: where it was made.
        connection: on which it came.
        method: of the API.
    """

    __slots__ = ("_body", "_connection", "_endpoint", "_is_lost", "_method", "_unsent", "_waits_for_body", "has_begun")

    def __init__(self, endpoint: ApiEndpoint, connection: EndpointConnection, method: bytes) -> None:
        self.has_begun = False
        self._endpoint = endpoint
        self._connection = connection
        self._method = method
        self._body = b""
        self._unsent = 0  # bytes of an answer that its caller does not take
        self._is_lost = False
        self._waits_for_body = False

    def wait_for_body(self) -> None:
        """Its body is to come: let the time for that run."""
        self._waits_for_body = True
        self._endpoint.late_bodies.add(self)

    # What its connection says

    def receive(self, content: bytes) -> None:
        """Take some of the body."""
        self._body = self._body + content if self._body else content
        if len(self._body) > self._endpoint.limits.body_bytes:
            self.refuse_size()

    def end(self) -> None:
        """Carry it out."""
        endpoint, method = self._endpoint, self._method
        if self._waits_for_body:
            endpoint.late_bodies.discard(self)
        if method in STORING:
            try:
                if endpoint.api.start(STORING[method], self._body, self._take_answer):
                    return
            except Exception:
                self._crash()
                return
        self._connection.run(self._run())

    def lost(self, exc: Exception | None) -> None:
        """Nobody is there to be answered; what is under way is carried out all the same."""
        self._is_lost = True
        self._endpoint.late_bodies.discard(self)
        self._settle()

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        """The caller has taken nearly all of the answer."""
        if self._unsent:
            self._settle()
            self._connection.finish()

    # What becomes of it

    async def _run(self) -> None:
        endpoint, method = self._endpoint, self._method
        try:
            if not endpoint.has_room(method):
                await endpoint.room()
            if self._is_lost:
                return
            status, answer = await endpoint.api.call(method.decode("latin-1"), self._body)
        except Exception:
            self._crash()
        else:
            self._answer(HttpResponse(status, body=answer, kind=JSON))

    def _take_answer(self, status: int, answer: bytes) -> None:
        self._answer(_tuple(HttpResponse, (status, (), answer, JSON)))

    def _crash(self) -> None:
        """Answer for an exception that is being handled."""
        log.exception("call_crashed", extra={"method": self._method.decode("latin-1")})
        self._connection.keep_alive = False
        self._answer(failure(500, INTERNAL, "the gateway failed, its log says at what"))

    def _answer(self, response: HttpResponse) -> None:
        if self._is_lost:
            return
        connection = self._connection
        self.has_begun = True
        connection.send(response)
        if connection.write_paused:
            self._unsent = len(response.body)
            self._endpoint.count_unsent(self._unsent)
            self._endpoint.stuck_answers.add(self)
        else:
            connection.finish()

    def _settle(self) -> None:
        """What was written waits for nobody any more."""
        if self._unsent:
            self._endpoint.stuck_answers.discard(self)
            self._endpoint.count_unsent(-self._unsent)
            self._unsent = 0

    def refuse_size(self) -> None:
        """Refuse a body that is too large."""
        most = self._endpoint.limits.body_bytes
        self._refuse(failure(413, BAD_REQUEST, f"the body is over {most} bytes: send several smaller calls"))

    def end_late(self) -> None:
        """Refuse a body that takes too long."""
        seconds = self._endpoint.limits.body_timeout
        self._refuse(failure(408, BAD_REQUEST, f"the body did not arrive within {seconds:.0f} s"))

    def _refuse(self, response: HttpResponse) -> None:
        self._endpoint.late_bodies.discard(self)
        self.has_begun = True
        self._connection.keep_alive = False
        self._connection.answer(response)

    def give_up(self) -> None:
        """Cut off a caller that does not take its answer."""
        log.debug("answer_not_taken", extra={"method": self._method.decode("latin-1"), "bytes": self._unsent})
        self._connection.transport.abort()


def failure(status: int, error: ErrorCode, message: str) -> HttpResponse:
    """Return an error as the API answers it, with a message of its own."""
    return HttpResponse(
        status, body=b'{"error":{"code":%d,"message":"%b"}}' % (error.code, message.encode()), kind=JSON
    )


def _not_a_call() -> HttpResponse:
    return failure(405, BAD_REQUEST, "calls of the API are made with POST")._replace(headers=[(b"allow", b"POST")])
