"""What a view answers whose page listens with a plain `EventSource`: the gateway's event stream, below ASGI.

Owns nothing once it has answered: Django ends the stream when its reader has gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from messageflow.errors import ConfigurationError
from messageflow.integrations.django.logins import name_user
from messageflow.integrations.django.project_flow import find_project
from messageflow.integrations.event_stream import HEADERS, Begun, ViewStream, read_request

NOT_BELOW_WSGI = (
    "event_stream needs Django below ASGI, where a stream holds no thread: `messageflow run mysite.asgi:application`, "
    "or uvicorn with mysite.asgi:application; below WSGI give the page flow.ticket(user) for the gateway's own stream"
)


async def event_stream(
    request: HttpRequest,
    user: Any,
    *,
    channels: Iterable[str] = (),
    ttl: timedelta | float | None = None,
) -> HttpResponseBase:
    """Return what an async view answers: the events of the gateway, as `/connection/uni_sse` has them, with their ids.

    Cancelled, as when its reader has gone, it has opened nothing.

    Args:
        request: of the view; its `Last-Event-ID` says where to resume, `?newest` and `?as=` what else it wants.
        user: who hears what is pushed to them, such as `await request.auser()`, or a name; nobody gets 401.
        channels: what they hear besides.
        ttl: how long until it ends and the view is asked again; else as long as tokens of pages are good.

    Raises:
        ConfigurationError: this is below WSGI, or as `Flow.token`.
        ValueError: as `Flow.token`.
    """
    if not isinstance(request, ASGIRequest):
        raise ConfigurationError(NOT_BELOW_WSGI)
    came = read_request(request, request.GET)
    begun = await ViewStream(find_project().site, name_user(user), channels, ttl, came).begin()
    if begun.status != 200:
        return HttpResponse(begun.first, status=begun.status, content_type=begun.media_type, headers=HEADERS)
    return StreamingHttpResponse(_Parts(begun), content_type=begun.media_type, headers=HEADERS)


class _Parts:
    """A stream as Django takes one."""

    def __init__(self, begun: Begun) -> None:
        self._begun = begun

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._begun.read()

    def close(self) -> None:
        """Called by Django at the end, on a thread: of a stream that nobody has begun to read, too."""
        self._begun.close()
