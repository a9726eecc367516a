"""From a gateway's request to its answer: each event to the handlers of its kind, what they say as JSON.

How a function is called the caller says. A handler that fails is logged here, with its traceback, where its code is.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Raw

from messageflow.errors import Refuse, show
from messageflow.handlers import decisions
from messageflow.handlers.event import Event
from messageflow.handlers.registry import Handler, Handlers
from messageflow.handlers.webhook_messages import (
    DESCRIBE,
    WebhookAnswer,
    WebhookFailure,
    WebhookRefusal,
    WebhookRequest,
    WebhookResult,
)

log = logging.getLogger("messageflow.webhook")

Call = Callable[[Handler, Event, float], Awaitable[Any]]

_NOTHING = Raw(b"null")


async def answer_request(handlers: Handlers, request: WebhookRequest, call: Call) -> bytes:
    """Return the body of the answer.

    Args:
        handlers: whom to ask.
        request: of a gateway that is believed.
        call: calls a function with an event, within so many seconds.
    """
    described = handlers.describe()
    digest = hashlib.sha256(msgspec.json.encode(described, order="deterministic")).hexdigest()[:16]
    if request.kind == DESCRIBE:
        return msgspec.json.encode(WebhookAnswer(digest, described=described))
    results: list[WebhookResult] = []
    limit = time.monotonic() + request.seconds
    for event in request.events:
        if results and time.monotonic() >= limit:
            break  # the gateway sends the rest once more; it waits for as long again, for the one that began last
        results.append(await _answer(handlers, request, event, call))
    return msgspec.json.encode(WebhookAnswer(digest, results))


async def _answer(handlers: Handlers, request: WebhookRequest, event: Event, call: Call) -> WebhookResult:
    decide = decisions.DECISIONS.get(request.kind)
    if decide is None:
        return WebhookResult(failure=WebhookFailure(error=f"no handler is of the kind {request.kind}"))
    place = ""

    async def call_next(handler: Handler, argument: Event) -> Any:
        nonlocal place
        place = handler.place
        return await call(handler, argument, request.seconds)

    try:
        return WebhookResult(_encode(request.kind, await decisions.carry_out(decide(handlers, event), call_next)))
    except Refuse as refusal:
        return WebhookResult(refusal=WebhookRefusal(refusal.code, refusal.message, refusal.temporary))
    except Exception as error:
        log.exception("hook_failed", extra={"hook": request.kind, "handler": place})
        return WebhookResult(failure=WebhookFailure(place, show(error)))


def _encode(kind: str, said: Any) -> Raw:
    """Return what a decision came to as JSON; what is JSON already is bytes."""
    if kind == "rpc":
        return Raw(said)
    if kind == "publish":
        return _NOTHING if said is None else Raw(msgspec.json.encode({"data": Raw(said)}))
    if kind == "connect":
        return Raw(msgspec.json.encode({name: Raw(v) if isinstance(v, bytes) else v for name, v in said.items()}))
    return Raw(msgspec.json.encode(said))
