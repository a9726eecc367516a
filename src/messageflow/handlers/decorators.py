"""The decorators that a flow has: `@flow.on("city")` and the others. Each returns the function as it was.

Owns the table of one flow. Never calls a handler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, overload

import msgspec

from messageflow.core.channel_patterns import ALL, explain_pattern
from messageflow.handlers.event import Event
from messageflow.handlers.registry import EVERY, Handler, Handlers, Kind
from messageflow.typed.kinds import find_kind

Function = TypeVar("Function", bound=Callable[[Event], Any])


class Decorator(Protocol):
    """Stands above a function and leaves it as it is."""

    def __call__(self, function: Function, /) -> Function: ...


class Decorators:
    """The part of a flow that takes handlers.

    A handler is a function of one argument, the `Event`. Plain functions run on threads and may block; coroutine
    functions run on the event loop and must not. What it raises of `Refuse` the client is told; anything else is logged
    with its traceback, and the client gets error 100.

    """

    _handlers: Handlers | None = None

    @property
    def handlers(self) -> Handlers:
        """The functions that were decorated."""
        if self._handlers is None:
            self._handlers = Handlers()
        return self._handlers

    def on(self, name: str | type) -> Decorator:
        """Let a function take what pages send by this name: `flow.emit(name, data)`. What it returns is not looked at.

        @flow.on("city")
        def add_city(event):
            flow.broadcast("city", event.data)

        By a class of typed messages instead of a name it takes those, and `event.data` is an object of the class: what
        is not as the class says is refused, and the client is told the field.
        """
        return self._named("event", name, "on")

    def rpc(self, name: str | type) -> Decorator:
        """Let a function answer what pages call by this name: `flow.call(name, data)`. What it returns is the result.

        A class of typed messages is taken as by `on`.

        @flow.rpc("search")
        def search(event):
            return find(event.data)
        """
        return self._named("rpc", name, "rpc")

    def on_connect(self, function: Function) -> Function:
        """Let a function see who connects. It may return False to refuse, or a dict.

        In the dict: `user`, for a connection without a token; `info`, what others see of them in presence; `data`, for
        the page; `channels`, that they are subscribed to; `expires_at`, in seconds since 1970.
        """
        return self._add("connect", ALL, function, "on_connect")

    def on_disconnect(self, function: Function) -> Function:
        """Let a function be told of each connection that was in and has ended: `event.code`, `event.reason`."""
        return self._add("disconnect", ALL, function, "on_disconnect")

    def authorize(self, pattern: str) -> Decorator:
        """Let a function say who may do what in channels of a pattern: `event.channel`, `event.verb`.

        True allows, False refuses, nothing leaves it to the next one, and after the last to the namespace.
        """
        return self._decorator("authorize", _check_pattern(pattern, "authorize"), "authorize")

    def on_publish(self, pattern: str) -> Decorator:
        """Let a function see what clients publish in channels of a pattern: `event.data`.

        What it returns is published in its place; nothing, or True, leaves it as it is; False refuses.
        """
        return self._decorator("publish", _check_pattern(pattern, "on_publish"), "on_publish")

    @overload
    def on_occupied(self, function: str) -> Decorator: ...
    @overload
    def on_occupied(self, function: Function) -> Function: ...
    def on_occupied(self, function: Any) -> Any:
        """Let a function be told when a channel has its first subscriber. Bare, or with a pattern of channels."""
        return self._bare_or_pattern("occupied", function)

    @overload
    def on_vacated(self, function: str) -> Decorator: ...
    @overload
    def on_vacated(self, function: Function) -> Function: ...
    def on_vacated(self, function: Any) -> Any:
        """Let a function be told when a channel has no subscriber any more. Bare, or with a pattern of channels."""
        return self._bare_or_pattern("vacated", function)

    def _bare_or_pattern(self, kind: Kind, given: Any) -> Any:
        if isinstance(given, str):
            return self._decorator(kind, _check_pattern(given, f"on_{kind}"), f"on_{kind}")
        return self._add(kind, ALL, given, f"on_{kind}")

    @staticmethod
    def _encode(value: Any) -> bytes:
        """Return what a handler returned as JSON. A flow has its own way."""
        return msgspec.json.encode(value)

    def _named(self, kind: Kind, given: Any, written: str) -> Decorator:
        message = find_kind(given)
        if message is None:
            return self._decorator(kind, _check_name(given, written), written)
        shown = f"{written}({given.__name__})"

        def decorate(function: Function) -> Function:
            from messageflow.handlers.typed_handlers import take_typed  # which loads asyncio

            _check_function(function, shown)
            self._add(kind, message.type, take_typed(function, message), shown)
            return function

        return decorate

    def _decorator(self, kind: Kind, key: str, written: str) -> Decorator:
        def decorate(function: Function) -> Function:
            return self._add(kind, key, function, f"{written}({key!r})")

        return decorate

    def _add(self, kind: Kind, key: str, function: Function, written: str) -> Function:
        _check_function(function, written)
        handler = Handler(kind, key, function, self._encode, self.handlers)
        self.handlers.add(handler)
        EVERY.gather(handler)
        return function


def _check_name(name: str, decorator: str) -> str:
    if not isinstance(name, str):
        raise TypeError(
            f'@flow.{decorator} takes the name that pages use, @flow.{decorator}("city"), or a class of messages, '
            "which derives from Message or stands below @message"
        )
    if not name:
        raise ValueError(f"@flow.{decorator} takes a name, not an empty text")
    return name


def _check_pattern(pattern: str, decorator: str) -> str:
    if not isinstance(pattern, str):
        raise TypeError(f'@flow.{decorator} takes a pattern of channels: @flow.{decorator}("news:*")')
    if problem := explain_pattern(pattern):
        raise ValueError(f"{pattern!r} is no pattern of channels: {problem}")
    return pattern


def _check_function(function: Any, written: str) -> None:
    """See that a handler can be called with an event: said where it is written, not when a page first needs it."""
    if not callable(function):
        raise TypeError(f"@flow.{written} stands above a function, not a {type(function).__name__}")
    import inspect  # which takes longer than all the rest of this module

    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function!r} yields, and so none of it would run; a handler returns")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # one of C's, which says nothing
    try:
        signature.bind(None)
    except TypeError:
        raise TypeError(f"{function!r} takes {signature}; a handler takes one argument, the event") from None
