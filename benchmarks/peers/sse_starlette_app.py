"""sse-starlette as its page shows it: a queue for each reader, and what comes over HTTP goes into all of them."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

readers: set[asyncio.Queue[str]] = set()


async def events(request: Request) -> EventSourceResponse:
    """Answer with a stream."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    readers.add(queue)  # before the answer begins, upon which a reader counts as subscribed
    return EventSourceResponse(listen(queue))


async def listen(queue: asyncio.Queue[str]) -> AsyncIterator[dict[str, str]]:
    """Yield what comes, until the reader goes."""
    try:
        while True:
            yield {"data": await queue.get()}
    finally:
        readers.discard(queue)


async def publish(request: Request) -> Response:
    """Give a text to all readers."""
    text = (await request.body()).decode()
    for queue in readers:
        queue.put_nowait(text)
    return Response()


application = Starlette(routes=[Route("/events", events), Route("/publish", publish, methods=["POST"])])
