"""The endpoint of an application elsewhere: signed requests on kept connections, and whether it is there at all.

Each kind of question has connections of its own, so that a slow one keeps no other from being asked. While the endpoint
is away one request at a time looks for it, less and less often; whoever asks meanwhile is told so at once, but for
notices, which wait. So the application that comes back finds nobody at its door but that one request.

Owns the connections and what is known of the endpoint. Never knows what is asked.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from messageflow.client_io.asyncio_io import ASYNCIO
from messageflow.client_io.http1 import Endpoint
from messageflow.client_io.http_client import HttpClient
from messageflow.client_io.outcome import NO_ANSWER, NoResponse, Response
from messageflow.core.backoff import Backoff
from messageflow.core.webhook_signatures import ID, SIGNATURE, TIMESTAMP, sign
from messageflow.handlers.webhook_messages import CONTENT_TYPE, DESCRIBE, Described, WebhookAnswer
from messageflow.hub.hooks import AnswerLost, ApplicationAway
from messageflow.hub.runtime import Runtime

log = logging.getLogger("messageflow.gateway")

REFRESH = 10.0  # seconds after which the application is asked again what it handles
GAP = 0.2  # seconds at least between two such requests
LEEWAY = 1.0  # seconds for a request beyond the time of its hook, which ends it: a handler that hangs is late, not away
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # between looks for an endpoint that is away
ABSENT = frozenset({502, 503, 504})  # said by a proxy in its place
SHOWN = 200  # characters of what an endpoint says that are logged

_decode = msgspec.json.Decoder(WebhookAnswer).decode


class WebhookError(Exception):
    """The endpoint has not answered as it should; the message says how."""


class Asking(NamedTuple):
    """How a kind of question is asked.

    Args:
        repeatable: it may be asked twice, so that it may be sent again when its fate is unknown.
        patience: seconds for which it waits for an endpoint that is away; none is told at once.
        batched: many come in one request, which has its time once more: for the handler that was called last.
    """

    repeatable: bool = False
    patience: float = 0.0
    batched: bool = False


class WebhookClient:
    """See the module.

    Args:
        runtime: counters and log.
        endpoint: where it is.
        keys: each signs.
        connections: for each kind of question.
        on_described: called with what the application handles, first and whenever that has changed.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        runtime: Runtime,
        endpoint: Endpoint,
        keys: Sequence[bytes],
        connections: int,
        on_described: Callable[[Described], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._runtime = runtime
        self._endpoint = endpoint
        self._keys = keys
        self._connections = connections
        self._on_described = on_described
        self._wall = wall
        self._clients: dict[str, HttpClient] = {}
        self._head = _make_head(endpoint)
        self._is_there = asyncio.Event()
        self._look_now = asyncio.Event()
        self._doubts: list[asyncio.Future[None]] = []  # of those who wait for the next look
        self._reported = False  # that it is away
        self._ended = False
        self._digest = ""
        self._answers = 0

    async def ask(self, kind: str, events: bytes, asking: Asking, seconds: float) -> WebhookAnswer:
        """Return what the application answers.

        Args:
            kind: of question.
            events: JSON, what stands between the brackets of the list.
            asking: how.
            seconds: that each of them may take, once the endpoint is there.

        Raises:
            ApplicationAway: it cannot be asked.
            AnswerLost: it was asked, and what came of it is not known.
            WebhookError: it has answered otherwise than it should.
        """
        limit = time.monotonic() + seconds + LEEWAY + asking.patience
        body = b'{"kind":"%b","seconds":%.3f,"events":[%b]}' % (kind.encode(), seconds, events)
        answer_time = seconds * (2 if asking.batched else 1) + LEEWAY
        is_patient, stale_once, late_once = asking.patience > 0, False, False
        while True:
            await self._wait_until_there(limit, patient=is_patient)
            outcome = await self._send(kind, body, min(limit, time.monotonic() + answer_time))
            if isinstance(outcome, Response) and outcome.status not in ABSENT:
                return self._read(outcome)
            may_repeat = asking.repeatable or (isinstance(outcome, NoResponse) and not outcome.sent)
            if isinstance(outcome, NoResponse) and outcome.stale and not stale_once:
                stale_once = True  # it had closed a connection that it kept, which says nothing about it
            elif outcome == NO_ANSWER:  # a handler that hangs would hang again, and with it what comes after it
                if may_repeat and (late_once or await self._is_answering()):
                    may_repeat = False
                late_once = True
                self._look_now.set()
            else:
                self._note_away(outcome)
            if not may_repeat:
                raise AnswerLost(f"the endpoint has taken it and not answered: {_describe(outcome)}")
            is_patient = True  # for it was there when this was first sent

    async def _wait_until_there(self, limit: float, *, patient: bool) -> None:
        if self._is_there.is_set():
            return
        if not patient or self._ended:
            raise ApplicationAway
        try:
            async with asyncio.timeout(limit - time.monotonic()):
                await self._is_there.wait()
        except TimeoutError:
            raise ApplicationAway from None
        if self._ended:
            raise ApplicationAway

    async def _send(self, kind: str, body: bytes, limit: float) -> Response | NoResponse:
        client = self._clients.get(kind)
        if client is None:
            client = self._clients[kind] = HttpClient(ASYNCIO, self._endpoint, self._connections)
        message_id, timestamp = f"msg_{secrets.token_hex(12)}", int(self._wall())
        signatures = " ".join(sign(key, message_id, timestamp, body) for key in self._keys)
        request = self._head % (message_id.encode(), timestamp, signatures.encode(), len(body), body)
        try:
            return await client.send(request, limit)
        except asyncio.CancelledError:
            self._look_now.set()  # it took too long: the handler, or all of the application?
            raise

    def _read(self, response: Response) -> WebhookAnswer:
        if response.status != 200:
            raise WebhookError(f"the endpoint answered {_describe(response)}")
        try:
            answer = _decode(response.body)
        except msgspec.MsgspecError as error:
            raise WebhookError(f"the endpoint answered with what is no answer: {error}") from None
        self._answers += 1
        if answer.handlers != self._digest:
            self._look_now.set()
        return answer

    # Whether it is there, and what it handles

    def look_again(self) -> None:
        """Ask soon what the application handles: something says that it has changed."""
        if self._is_there.is_set():
            self._look_now.set()

    async def _is_answering(self) -> bool:
        """Return whether the next look finds it: what is late is then a handler, and not all of the application."""
        looked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._doubts.append(looked)
        self._look_now.set()
        if not self._ended:
            await looked
        return self._is_there.is_set()

    async def watch(self) -> None:
        """Look for the endpoint, and at what it handles, until cancelled."""
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        try:
            while True:
                doubts, self._doubts = self._doubts, []
                try:
                    was_found = await self._look()
                finally:
                    _settle(doubts)
                if was_found:
                    backoff.reset()
                    await asyncio.sleep(GAP)
                if self._is_there.is_set():
                    await self._wait_for_doubt()
                else:
                    await asyncio.sleep(backoff.fail())
        finally:
            self._ended = True
            self._is_there.set()  # nobody waits any more
            _settle(self._doubts)

    async def _wait_for_doubt(self) -> None:
        try:
            async with asyncio.timeout(REFRESH):
                await self._look_now.wait()
        except TimeoutError:
            pass
        self._look_now.clear()

    async def _look(self) -> bool:
        """Return whether it is there, once it has said what it handles."""
        before = self._answers
        body = b'{"kind":"%b"}' % DESCRIBE.encode()
        outcome = await self._send(DESCRIBE, body, time.monotonic() + self._runtime.limits.hooks.hook_timeout)
        if outcome == NO_ANSWER and self._answers > before:
            return True  # it is busy, and answers others
        try:
            if not isinstance(outcome, Response) or outcome.status in ABSENT:
                raise WebhookError(_describe(outcome))
            answer = self._read(outcome)
            if answer.described is None:
                raise WebhookError("the endpoint does not say what it handles")
        except WebhookError as error:
            self._note_away(str(error))
            return False
        if answer.handlers != self._digest or not self._is_there.is_set():
            self._digest = answer.handlers
            self._on_described(answer.described)
        if not self._doubts:
            self._look_now.clear()
        self._note_there()
        return True

    def _note_away(self, why: Response | NoResponse | str) -> None:
        self._is_there.clear()
        if not self._reported:
            self._reported = True
            self._runtime.counters.webhook_outages += 1
            said = why if isinstance(why, str) else _describe(why)
            log.error("webhook_away", extra={"url": self._endpoint.url, "error": said})
        self._look_now.set()

    def _note_there(self) -> None:
        self._is_there.set()
        if self._reported:
            self._reported = False
            log.warning("webhook_back", extra={"url": self._endpoint.url})

    def close(self) -> None:
        """Close what is idle."""
        for client in self._clients.values():
            client.close()


def _make_head(endpoint: Endpoint) -> bytes:
    lines = (
        f"POST {endpoint.prefix.replace('%', '%%')} HTTP/1.1",
        f"Host: {endpoint.authority}",
        "User-Agent: messageflow-gateway",
        f"Content-Type: {CONTENT_TYPE}",
        f"{ID}: %b",
        f"{TIMESTAMP}: %d",
        f"{SIGNATURE}: %b",
        "Content-Length: %d\r\n\r\n%b",
    )
    return "\r\n".join(lines).encode("ascii")


def _settle(doubts: list[asyncio.Future[None]]) -> None:
    for each in doubts:
        if not each.done():
            each.set_result(None)


def _describe(outcome: Response | NoResponse) -> str:
    if isinstance(outcome, NoResponse):
        return outcome.reason
    return f"{outcome.status} {outcome.body[:SHOWN].decode(errors='replace')}"
