"""The handlers of flows as hooks, in the gateway's own process: `hook_events` makes events, `decisions` decides.

A handler that is written while the gateway serves, as in a module that is imported late, is asked from then on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from messageflow.gateway.hook_events import HOOK_EVENTS
from messageflow.handlers.decisions import DECISIONS, carry_out
from messageflow.handlers.event import Event
from messageflow.handlers.function_threads import FunctionThreads, is_coroutine_function
from messageflow.handlers.registry import Handler, Handlers, Kind
from messageflow.hub.hook_calls import HookCalls
from messageflow.hub.hooks import HANDLER


def serve_handlers(hooks: HookCalls, handlers: Handlers, concurrency: int) -> None:
    """Let handlers be asked.

    Args:
        hooks: of the hub.
        handlers: whom to ask, also of kinds of which there is none yet.
        concurrency: calls of plain functions of one kind at once.

    Raises:
        ConfigurationError: two handlers have one name, or the application decides in two ways.
    """
    made: set[Kind] = set()
    maker = HandlerHooks(handlers, concurrency)

    def add(kind: Kind) -> None:
        if kind not in made:
            hooks.add(kind, maker.make(kind))
            made.add(kind)

    handlers.serve(add)
    for kind in handlers.kinds:
        add(kind)


class HandlerHooks:
    """A hook for each kind of handler.

    Args:
        handlers: whom to ask.
        concurrency: calls of plain functions of one kind at once.
    """

    def __init__(self, handlers: Handlers, concurrency: int) -> None:
        self._handlers = handlers
        self._concurrency = concurrency
        self._threads: dict[Kind, FunctionThreads] = {}

    def make(self, kind: Kind) -> Callable[[Any], Awaitable[Any]]:
        """Return the hook of a kind."""
        tell, answer, _ = HOOK_EVENTS[kind]
        decide = DECISIONS[kind]

        async def hook(question: Any) -> Any:
            return answer(await carry_out(decide(self._handlers, tell(question).decode_event()), self._call))

        return hook

    def _call(self, handler: Handler, event: Event) -> Awaitable[Any]:
        HANDLER.set(handler.place)
        if is_coroutine_function(handler.function):
            awaitable: Awaitable[Any] = handler.function(event)
            return awaitable
        threads = self._threads.get(handler.kind)
        if threads is None:
            threads = self._threads[handler.kind] = FunctionThreads(f"{handler.kind}-handler", self._concurrency)
        return threads.call(handler.function, event)
