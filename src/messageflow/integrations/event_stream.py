"""An event stream of the gateway as the answer of a view: who hears what is the application's to say, at each request.

The gateway is asked for the stream with a token that is made here, and what it writes is handed on as it comes: events,
ids, heartbeats. The reader's `Last-Event-ID` goes along, so that it resumes or is told that it cannot.

Owns one stream from the view's request to its end. Nothing of it waits here: a slow reader is the gateway's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from messageflow.errors import GatewayUnreachable
from messageflow.integrations.site import NOBODY, Site
from messageflow.publisher.arguments import User
from messageflow.publisher.stream_opening import StreamedAnswer, open_events

EVENTS = "text/event-stream; charset=utf-8"
JSON = "application/json"
HEADERS = {"Cache-Control": "no-cache, no-store, no-transform", "X-Accel-Buffering": "no"}  # the latter for nginx
AWAY = b"retry: 3000\n: the gateway is away or full: come back\n\n"  # an EventSource gives up at any other status
LATER = frozenset({429, 502, 503, 504})
ASKED = ("newest", "as")  # of the reader's address, as the gateway reads them
REFUSAL_SECONDS = 10.0  # for the reason of it to come

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Came(NamedTuple):
    """What the reader of a stream asks for.

    Args:
        method: of its request.
        last_event_id: what it brings back: a browser in a header, a program or a fresh page in the address.
        asked: the parameters of its address that the gateway knows.
    """

    method: str
    last_event_id: str
    asked: dict[str, str]


class Begun(NamedTuple):
    """An answer of which status and beginning are known.

    Args:
        status: of it.
        media_type: of it.
        first: its beginning.
        rest: what follows; None where that was all.
    """

    status: int
    media_type: str
    first: bytes = b""
    rest: StreamedAnswer | None = None

    async def read(self) -> AsyncIterator[bytes]:
        """Hand on what comes, until either side ends it."""
        try:
            if self.first:
                yield self.first
            if self.rest is not None:
                while part := await self.rest.read():
                    yield part
        except OSError:
            pass  # the reader comes back, and resumes
        finally:
            self.close()

    def close(self) -> None:
        """Let the gateway know that nobody listens any more; may be called on a thread."""
        if self.rest is not None:
            self.rest.close()


class ViewStream:
    """What a view answers.

    Args:
        site: of the application.
        user: who hears what is pushed to them; None for nobody, who gets 401.
        channels: what they hear besides.
        ttl: seconds until it ends, and the view is asked again; else as long as the tokens of pages are good.
        came: what the reader asks for.

    Raises:
        ConfigurationError, ValueError: as `Flow.token`.
    """

    def __init__(
        self,
        site: Site,
        user: User | None,
        channels: Iterable[str],
        ttl: timedelta | float | None,
        came: Came,
    ) -> None:
        self._flow = site.flow
        self._came = came
        self._token = ""
        if user is not None:
            self._token = self._flow.token(user, site.settings.ttl if ttl is None else ttl, channels=channels)

    async def begin(self) -> Begun:
        """Ask the gateway. Cancelled, it has asked for nothing.

        Raises:
            ConfigurationError: the flow knows no gateway.
        """
        if not self._token:
            return Begun(401, JSON, msgspec.json.encode({"error": NOBODY}))
        if self._came.method == "HEAD":  # which frameworks let in where GET is
            return Begun(200, EVENTS)
        try:
            answer = await open_events(self._flow.url, self._token, self._came.last_event_id, self._came.asked)
        except (OSError, GatewayUnreachable):
            return Begun(200, EVENTS, AWAY)
        if answer.status == 200:
            return Begun(200, EVENTS, b"", answer)
        try:
            async with asyncio.timeout(REFUSAL_SECONDS):
                said = await answer.read_all()
        except OSError:
            said = b""
        finally:
            answer.close()
        if answer.status in LATER:
            return Begun(200, EVENTS, AWAY)
        return Begun(answer.status, answer.headers.get("content-type", JSON), said)

    async def serve(self, receive: Receive, send: Send, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer as an ASGI application, for as long as somebody reads.

        Args:
            receive: what tells that nobody does any more.
            send: of the answer.
            headers: of the answer beside its own.
        """
        tasks = [asyncio.ensure_future(each) for each in (self._answer(send, headers), _wait_until_gone(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcome, _ = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome

    async def _answer(self, send: Send, more: Iterable[tuple[bytes, bytes]]) -> None:
        begun = await self.begin()
        own = {"Content-Type": begun.media_type, **HEADERS}
        headers = [*more, *((name.lower().encode(), value.encode("latin-1")) for name, value in own.items())]
        try:
            await send({"type": "http.response.start", "status": begun.status, "headers": headers})
            async for part in begun.read():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            begun.close()


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the rest of the request


def read_request(request: Any, query: Any) -> Came:
    """Return what the reader of a stream asks for, by its request as frameworks have it, and the query of that."""
    last = request.headers.get("last-event-id") or query.get("last_event_id") or ""
    return Came(str(request.method), str(last), {name: str(query[name]) for name in ASKED if name in query})
