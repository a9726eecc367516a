"""Endpoints that show something to a GET, and two of them: the front page and the OpenAPI document.

Each is a function from a request to a response. Only GET and HEAD are answered, and only for a host of ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from messageflow.api.openapi import make_page
from messageflow.gateway import front_page, refusal_log
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.endpoint import DeafExchange, EndpointConnection, Exchange
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.response import HTML, JSON, HttpResponse
from messageflow.gateway.proxies import Forwarded

log = logging.getLogger("messageflow.gateway")
access_log = logging.getLogger("uvicorn.access")

NOT_OURS = HttpResponse(
    403,
    body=b"This gateway is in development and answers to localhost alone, so that no page on a name that was pointed "
    b"at this machine passes for its own. If the name is yours, add http://that-name:port to allowed_origins.\n",
)


class Asked(NamedTuple):
    """A request for a page.

    Args:
        head: of it.
        came: from where.
        client: address and port of who asks, as far as proxies are believed.
    """

    head: Head
    came: Forwarded
    client: tuple[str, int]


Show = Callable[[Asked], HttpResponse]
ShowLater = Callable[[Asked], Coroutine[Any, Any, HttpResponse]]


class Page:
    """A `front_door.endpoint.HttpEndpoint` that shows something.

    Args:
        admission: knows for which hosts.
        show: returns it, or the coroutine that will.
        guest: whether an application is beside the gateway, so that requests are logged, and no WebSocket is opened
            where the gateway has none.
    """

    def __init__(self, admission: Admission, show: Show | ShowLater, *, guest: bool = False) -> None:
        self._admission = admission
        self._show = show
        self._guest = guest

    def begin(self, connection: EndpointConnection, head: Head) -> Exchange | None:
        """Answer a request, at once or as a task."""
        admission, peer = self._admission, connection.peer
        came = admission.trace(peer[0], head.fields, secure=admission.tls)
        asked = Asked(head, came, (came.address, 0) if admission.proxies.trust(peer[0]) else peer)
        if not admission.answers_to(head.fields, came):
            response = NOT_OURS
        elif self._guest and head.upgrade == b"websocket":
            response = HttpResponse(403)
        elif head.method not in (b"GET", b"HEAD"):
            response = HttpResponse(405, [(b"allow", b"GET, HEAD")], b"Method Not Allowed")
        else:
            shown = self._show(asked)
            if not isinstance(shown, HttpResponse):
                exchange = _Shown(connection, partial(self._answer, connection, asked), shown)
                connection.run(exchange.run())
                return None if exchange.is_answered else exchange
            response = shown
        self._answer(connection, asked, response)
        return None

    def _answer(self, connection: EndpointConnection, asked: Asked, response: HttpResponse) -> None:
        if self._guest:
            _log_access(asked, response.status)
        connection.answer(response)


class _Shown(DeafExchange):
    """A page that takes time: a `front_door.endpoint.Exchange`. Like other pages it waits for no body."""

    has_begun = False

    def __init__(
        self,
        connection: EndpointConnection,
        answer: Callable[[HttpResponse], None],
        shown: Coroutine[Any, Any, HttpResponse],
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._shown = shown
        self.is_answered = False

    async def run(self) -> None:
        """Show it."""
        try:
            response = await self._shown
        except Exception:
            log.exception("page_crashed")
            self._connection.keep_alive = False
            response = HttpResponse(500, body=b"Internal Server Error")
        self.is_answered = True
        self._answer(response)


def _log_access(asked: Asked, status: int) -> None:
    """Write the line that the application's own requests get."""
    head = asked.head
    path = quote(unquote(head.path.decode("latin-1")))
    query = head.target.decode("latin-1").partition("?")[1:]
    client = ":".join(map(str, asked.client))
    method = head.method.decode("latin-1")
    access_log.info('%s - "%s %s HTTP/%s" %d', client, method, path + "".join(query), head.version, status)


class OpenApi:
    """The OpenAPI document of the server API. It says what everybody can read in the documentation."""

    def __init__(self) -> None:
        self._page = b""

    def show(self, asked: Asked) -> HttpResponse:
        """Return the document, which is made when it is first asked for."""
        self._page = self._page or make_page()
        return HttpResponse(200, body=self._page, kind=JSON)


def show_front(base: str) -> Show:
    """Return what shows the page at the printed address."""
    headers = [(name.encode(), value.encode()) for name, value in front_page.HEADERS.items()]
    page = HttpResponse(200, headers, front_page.make_front_page(base).encode(), HTML)
    return lambda asked: page


def show_upgrade(admission: Admission) -> Show:
    """Return what answers where a WebSocket should be asked for."""

    def show(asked: Asked) -> HttpResponse:
        host = next((value.decode("latin-1") for name, value in asked.head.headers if name == b"host"), None)
        refusal_log.log_not_upgraded(admission.hub, asked.client[0], host)
        return HttpResponse(
            426,
            [(b"upgrade", b"websocket"), (b"connection", b"upgrade")],
            b"This address takes WebSocket connections, for example from /messageflow.js.\n",
        )

    return show


def show_nothing(pages: Collection[bytes]) -> Show:
    """Return what answers where nothing is, and leads on where only a slash at the end is too much."""

    def show(asked: Asked) -> HttpResponse:
        wanted = asked.head.path.rstrip(b"/")
        if wanted and wanted in pages:
            query = b"".join(asked.head.target.partition(b"?")[1:])
            return HttpResponse(307, [(b"location", wanted + query)])
        return HttpResponse(404, body=b"Not Found")

    return show
