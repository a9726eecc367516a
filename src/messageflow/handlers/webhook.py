"""`flow.webhook`: the handlers of a flow, asked by a gateway elsewhere over signed HTTP requests.

    app.wsgi_app = flow.webhook.wsgi(app.wsgi_app)    beside a WSGI application, Flask's here
    app.add_middleware(flow.webhook.asgi)             beside an ASGI application, FastAPI's here
    app.mount("/hooks", flow.webhook.asgi)            or mounted, which either can be

Whom to believe, and what a request asks, is decided in `receive`; the two faces only speak the interface of a server.
Fails closed: without a secret nobody is believed.

Owns the ids that were seen, and counts what was refused. Never sees a gateway.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from functools import partial
from types import CoroutineType
from typing import Any, NamedTuple, overload

import msgspec

from messageflow.core.line_rates import LineRates
from messageflow.core.webhook_signatures import ID, SIGNATURE, TIMESTAMP, is_signed, read_key
from messageflow.errors import show
from messageflow.handlers.event import Event
from messageflow.handlers.function_threads import FunctionThreads, is_coroutine_function
from messageflow.handlers.loop_thread import LoopThread
from messageflow.handlers.registry import Handler, Handlers
from messageflow.handlers.replay_protection import Replays
from messageflow.handlers.webhook_answers import answer_request
from messageflow.handlers.webhook_messages import CONTENT_TYPE, WebhookRequest

log = logging.getLogger("messageflow.webhook")

PATH = "/messageflow/hooks"
BODY_LIMIT = 4 * 1024**2  # bytes of a request; a gateway sends far less
ID_LIMIT = 256  # characters of an id, which is kept
THREADS = 64  # that plain functions run on in an ASGI application
STATUS_LINES = {
    200: "200 OK",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    405: "405 Method Not Allowed",
    411: "411 Length Required",
    413: "413 Content Too Large",
}
REASONS = {
    "no_secret": "no secret is known here: set MESSAGEFLOW_HOOKS_SECRET to the gateway's hooks_secret",
    "unsigned": f"not signed: {ID}, {TIMESTAMP} or {SIGNATURE} is missing or malformed",
    "signature": "the signature is of another secret or another body",
    "old": "the timestamp is too old: do the clocks agree?",
    "early": "the timestamp is in the future: do the clocks agree?",
    "replayed": "this id was seen before",
}

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_decode = msgspec.json.Decoder(WebhookRequest).decode


class Reply(NamedTuple):
    """What a request is answered."""

    status: int
    body: bytes


class Webhook:
    """The one endpoint of an application.

    Args:
        handlers: whom to ask.
        find_secrets: returns the secrets that are believed, the gateway's among them; asked until there is one.
        clock: seconds since 1970.

    Attributes:
        path: where it answers beside an application; mounted it answers wherever it is.
        body_limit: bytes of a request.
        refused: requests that were not believed, by reason.
    """

    def __init__(
        self,
        handlers: Handlers,
        find_secrets: Callable[[], Sequence[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = PATH
        self.body_limit = BODY_LIMIT
        self.refused: Counter[str] = Counter()
        self._handlers = handlers
        self._find_secrets = find_secrets
        self._keys: tuple[bytes, ...] = ()
        self._replays = Replays(clock)
        self._rates = LineRates()
        self._loop_thread = LoopThread()
        self._threads: tuple[object, FunctionThreads] | None = None

    # Whom to believe

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookRequest | Reply:
        """Return what a request asks, or what it is answered where it is not believed or makes no sense.

        Args:
            headers: by name in lower case.
            body: all of it.
        """
        if reason := self._check(headers, body):
            self.refused[reason] += 1
            if self._rates.take(reason, time.monotonic()) is not None:  # for anybody may knock, as often as they like
                log.warning("webhook_refused", extra={"reason": reason})
            return _explain(401, REASONS[reason])
        try:
            return _decode(body)
        except msgspec.MsgspecError as error:
            return _explain(400, f"this is no request of a gateway: {error}")

    def _check(self, headers: Mapping[str, str], body: bytes) -> str:
        self._keys = self._keys or tuple(read_key(secret) for secret in self._find_secrets() if secret)
        if not self._keys:
            return "no_secret"
        message_id, signatures = headers.get(ID, ""), headers.get(SIGNATURE, "")
        stamp = headers.get(TIMESTAMP, "")
        if not (0 < len(message_id) <= ID_LIMIT and signatures and stamp.isdecimal() and len(stamp) <= 12):
            return "unsigned"
        if not is_signed(self._keys, message_id, int(stamp), body, signatures):
            return "signature"
        return self._replays.enter(message_id, int(stamp))

    # WSGI

    @overload
    def wsgi(self, application: WSGIApp, /) -> WSGIApp: ...
    @overload
    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any], /) -> Iterable[bytes]: ...
    def wsgi(self, first: Any, start_response: Any = None, /) -> Any:
        """Return a WSGI application that answers at `path` and leaves all else to another. It is also one itself."""
        if start_response is not None:
            return self._serve_wsgi(first, start_response)

        def beside(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ.get("PATH_INFO", "").rstrip("/") == self.path:
                return self._serve_wsgi(environ, start_response)
            answer: Iterable[bytes] = first(environ, start_response)
            return answer

        return beside

    def _serve_wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        status, body = self._answer_wsgi(environ)
        headers = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))]
        start_response(STATUS_LINES[status], headers)
        return [body]

    def _answer_wsgi(self, environ: dict[str, Any]) -> Reply:
        length = environ.get("CONTENT_LENGTH") or ""
        if refusal := self._check_head(environ["REQUEST_METHOD"], length):
            return refusal
        body = environ["wsgi.input"].read(int(length))
        headers = {
            name: environ.get(f"HTTP_{name.upper().replace('-', '_')}", "") for name in (ID, TIMESTAMP, SIGNATURE)
        }
        request = self.receive(headers, body)
        if isinstance(request, Reply):
            return request
        return Reply(200, _run_now(answer_request(self._handlers, request, self._call_inline)))

    async def _call_inline(self, handler: Handler, event: Event, seconds: float) -> Any:
        """Call a function there and then: never waits for a loop, for there is none."""
        try:
            result = handler.function(event)
            return self._loop_thread.run(result, seconds) if type(result) is CoroutineType else result
        except BaseException as error:
            if isinstance(error, Exception) or _is_of_server(error):
                raise
            raise RuntimeError(f"the handler raised {show(error)}") from error

    def _check_head(self, method: str, length: str) -> Reply | None:
        if method != "POST":
            return _explain(405, "gateways POST here")
        if not length.isdecimal():
            return _explain(411, "a request of a gateway says how long it is")
        if int(length) > self.body_limit:
            return _explain(413, f"a request has at most {self.body_limit} bytes")
        return None

    # ASGI

    @overload
    def asgi(self, application: ASGIApp, /) -> ASGIApp: ...
    @overload
    def asgi(self, scope: Scope, receive: Receive, send: Send, /) -> Awaitable[None]: ...
    def asgi(self, first: Any, receive: Any = None, send: Any = None, /) -> Any:
        """Return an ASGI application that answers at `path` and leaves all else to another. It is also one itself."""
        if receive is not None:
            return self._serve_asgi(first, receive, send)
        if isinstance(first, MutableMapping):  # a server that takes a method for an application of ASGI 2
            return partial(self._serve_asgi, first)

        async def beside(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].rstrip("/") == self.path:
                await self._serve_asgi(scope, receive, send)
            else:
                await first(scope, receive, send)

        return beside

    async def _serve_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the webhook takes HTTP requests, not {scope['type']}")
        reply = await self._answer_asgi(scope, receive)
        if reply is None:
            return
        headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(reply.body))]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer_asgi(self, scope: Scope, receive: Receive) -> Reply | None:
        """Return the answer, None where the gateway is gone."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if refusal := self._check_head(scope["method"], headers.get("content-length", "")):
            return refusal
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.body_limit:
                return _explain(413, f"a request has at most {self.body_limit} bytes")
        request = self.receive(headers, bytes(body))
        if isinstance(request, Reply):
            return request
        return Reply(200, await answer_request(self._handlers, request, self._call_on_loop))

    async def _call_on_loop(self, handler: Handler, event: Event, seconds: float) -> Any:
        """Call a function, within its time. What would end a process or a task ends its call, and no server."""
        import asyncio

        try:
            async with asyncio.timeout(seconds):
                return await self._call_anywhere(handler, event)
        except (SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                raise
            raise RuntimeError(f"the handler raised {show(error)}") from error

    async def _call_anywhere(self, handler: Handler, event: Event) -> Any:
        import asyncio

        if is_coroutine_function(handler.function):
            return await handler.function(event)
        loop = asyncio.get_running_loop()
        if self._threads is None or self._threads[0] is not loop:
            self._threads = loop, FunctionThreads("webhook-handler", THREADS)
        result = await self._threads[1].call(handler.function, event)
        return await result if type(result) is CoroutineType else result


def _is_of_server(error: BaseException) -> bool:
    """Whether a WSGI server ends a worker with this, as gunicorn's does; else a handler raised it."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()
    return type(error).__module__.partition(".")[0] in ("greenlet", "gevent", "eventlet")


def _explain(status: int, reason: str) -> Reply:
    return Reply(status, msgspec.json.encode({"error": reason}))


def _run_now(work: Any) -> Any:
    """Run a coroutine that never waits, and return its result."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise RuntimeError("a handler waited for an event loop where there is none")
