"""What handlers decide: which of them a question goes to, one after the other, and what their answers come to.

Each decision is a generator: it yields the calls to make, is sent what they return, and returns the answer. Who runs
it says how functions are called: on a loop and threads (`function_threads`), or there and then.

Pure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from math import isfinite
from types import CoroutineType
from typing import Any, NamedTuple

import msgspec

from messageflow.core.codes import METHOD_NOT_FOUND
from messageflow.errors import Refuse
from messageflow.handlers.event import Event
from messageflow.handlers.registry import Handler, Handlers, Kind


class HandlerCall(NamedTuple):
    """A call to make."""

    handler: Handler
    event: Event


Steps = Generator[HandlerCall, Any, Any]

NAME_SHOWN = 64  # characters of a name that nobody handles
WELCOME_KEYS = ("allow", "user", "info", "data", "channels", "expires_at")


async def carry_out(steps: Steps, call: Callable[[Handler, Event], Awaitable[Any]]) -> Any:
    """Make the calls of a decision, one after the other; return what it comes to.

    A plain function may return a coroutine, as one does that wraps a coroutine function: it is awaited, or what a page
    told would be answered as handled without having run.
    """
    step, result = steps.send, None
    while True:
        try:
            handler, event = step(result)
        except StopIteration as done:
            return done.value
        try:
            step, result = steps.send, await call(handler, event)
            if type(result) is CoroutineType:
                result = await result
        except Exception as error:
            step, result = steps.throw, error


def take(handlers: Handlers, event: Event) -> Generator[HandlerCall, Any, None]:
    """Let the handler of its name take what a page sent.

    Raises:
        Refuse: there is none, or it refuses.
    """
    yield HandlerCall(_require(handlers, "event", event), event)


def answer(handlers: Handlers, event: Event) -> Generator[HandlerCall, Any, bytes]:
    """Return as JSON what the handler of its name makes of a call.

    Raises:
        Refuse: there is none, or it refuses.
    """
    handler = _require(handlers, "rpc", event)
    result = yield HandlerCall(handler, event)
    return handler.encode(result)


def _require(handlers: Handlers, kind: Kind, event: Event) -> Handler:
    handler = handlers.find(kind, event.name)
    if handler is None:
        shown = event.name[:NAME_SHOWN]
        raise Refuse(METHOD_NOT_FOUND.code, f"{METHOD_NOT_FOUND.message}: nothing handles {shown!r}")
    return handler


def welcome(handlers: Handlers, event: Event) -> Generator[HandlerCall, Any, dict[str, Any]]:
    """Return what all handlers together say of a connection, `info` and `data` as JSON.

    Raises:
        Refuse: one refuses.
        TypeError: one says what means nothing.
    """
    said: dict[str, Any] = {}
    for handler in handlers.select("connect"):
        result = yield HandlerCall(handler, event)
        if result is False:
            raise Refuse()
        if result is None or result is True:
            continue
        if not isinstance(result, dict) or not result.keys() <= set(WELCOME_KEYS):
            raise TypeError(
                f"a connect handler returns nothing, False, or a dict with some of {', '.join(WELCOME_KEYS)}; not "
                + (f"one with {', '.join(map(repr, result))}" if isinstance(result, dict) else type(result).__name__)
            )
        for key in ("channels", "allow"):
            if isinstance(result.get(key), str):
                raise TypeError(f"the {key} of a connect handler are a list of names, not one text")
        end = result.get("expires_at", 0)
        if end is not None and (
            isinstance(end, bool) or not isinstance(end, int | float) or not isfinite(end)
        ):  # JSON has neither infinity nor NaN
            raise TypeError(f"expires_at of a connect handler is a time in seconds since 1970, not {end!r}")
        encoded = {key: handler.encode(result[key]) for key in ("info", "data") if result.get(key) is not None}
        channels = (*said.get("channels", ()), *(result.get("channels") or ()))
        allowed = (*said.get("allow", ()), *(result.get("allow") or ()))
        said |= {key: value for key, value in result.items() if value is not None} | encoded
        said |= {"channels": channels} | ({"allow": allowed} if allowed else {})
    return said


def permit(handlers: Handlers, event: Event) -> Generator[HandlerCall, Any, bool | None]:
    """Return whether a client may: the word of the first handler that has one, None where none has.

    Raises:
        Refuse: one refuses.
        TypeError: one says what means nothing.
    """
    for handler in handlers.select("authorize", event.channel):
        allowed = yield HandlerCall(handler, event)
        if allowed is not None:
            if not isinstance(allowed, bool):
                raise TypeError(f"an authorize handler returns True, False or None, not {type(allowed).__name__}")
            return allowed
    return None


def edit(handlers: Handlers, event: Event) -> Generator[HandlerCall, Any, bytes | None]:
    """Return as JSON what is published in the place of what a client sent, None where it stays.

    Raises:
        Refuse: one refuses.
    """
    data: bytes | None = None
    for handler in handlers.select("publish", event.channel):
        result = yield HandlerCall(handler, event)
        if result is False:
            raise Refuse()
        if result is not None and result is not True:
            data = handler.encode(result)
            event = msgspec.structs.replace(event, data=msgspec.json.decode(data))
    return data


def tell(kind: Kind, handlers: Handlers, event: Event) -> Generator[HandlerCall, Any, None]:
    """Let all handlers of a kind know, whatever one of them raises.

    Raises:
        Exception: what the first raised that failed, once all know.
    """
    failure: Exception | None = None
    for handler in handlers.select(kind, event.channel):
        try:
            yield HandlerCall(handler, event)
        except Exception as error:
            failure = failure or error
    if failure is not None:
        raise failure


DECISIONS: dict[str, Callable[[Handlers, Event], Steps]] = {
    "event": take,
    "rpc": answer,
    "connect": welcome,
    "authorize": permit,
    "publish": edit,
    "disconnect": partial(tell, "disconnect"),
    "occupied": partial(tell, "occupied"),
    "vacated": partial(tell, "vacated"),
}
"""The decision of each kind of handler."""
