"""Handlers of typed messages: what a page sent is read as the class says before the function sees it.

The function is wrapped, so that plain handlers do not pay for it, and where the application lives, so that a gateway
elsewhere needs to know nothing of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec

from messageflow.core.codes import BAD_REQUEST
from messageflow.errors import InvalidMessage, Refuse
from messageflow.handlers.event import Event
from messageflow.handlers.function_threads import is_coroutine_function
from messageflow.typed.faults import Fault
from messageflow.typed.kinds import MessageKind

TAKES = "__messageflow_takes__"


def take_typed(function: Callable[[Any], Any], kind: MessageKind) -> Callable[[Any], Any]:
    """Return a function that is given events whose data is of the class."""
    if is_coroutine_function(function):

        @functools.wraps(function)
        async def call_async(event: Event) -> Any:
            return await function(_read(event, kind))

        setattr(call_async, TAKES, kind)
        return call_async

    @functools.wraps(function)
    def call(event: Event) -> Any:
        return function(_read(event, kind))

    setattr(call, TAKES, kind)
    return call


def find_taken(function: Callable[[Any], Any]) -> MessageKind | None:
    """Return the kind of message that a handler is given; None for a plain one."""
    kind: MessageKind | None = getattr(function, TAKES, None)
    return kind


def _read(event: Event, kind: MessageKind) -> Event:
    try:
        data = kind.read(event.data)
    except InvalidMessage as error:  # the client's, who is told the field
        fault = Fault(error.field, error.reason)
        raise Refuse(BAD_REQUEST.code, f"{BAD_REQUEST.message}: {fault} (in {event.name})") from None
    return msgspec.structs.replace(event, data=data)
