"""The application's hooks in the gateway's own process: functions of a module, or of an object in one.

The object has a function for each kind of hook it brings, called like the kind. Coroutine functions run
on the event loop, plain ones on threads, so that they may block. Each worker imports the object for itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from types import ModuleType
from typing import Any

import msgspec

from messageflow.errors import ConfigurationError, Refuse
from messageflow.gateway.object_loading import load_object
from messageflow.handlers.decorators import Decorators
from messageflow.handlers.function_threads import FunctionThreads, is_coroutine_function
from messageflow.handlers.registry import Handlers
from messageflow.hub.hooks import ANSWERS, KINDS, AuthorizeAnswer, Hooks, RpcAnswer

_ALLOWED = {kind: answer() for kind, answer in ANSWERS.items() if answer is not type(None)}


def load_hooks(target: str, concurrency: int) -> Hooks | Handlers:
    """Return the hooks of the object named by a setting, of a flow its handlers.

    Args:
        target: `module:object`, or a module.
        concurrency: calls of plain functions of one kind at once.

    Raises:
        ConfigurationError: there is no such object, or it brings no hook.
    """
    found = load_object(target, ())
    if (handlers := _find_handlers(found, target)) is not None:
        return handlers
    functions = {kind: getattr(found, kind) for kind in KINDS if callable(getattr(found, kind, None))}
    if not functions:
        raise ConfigurationError(
            f"{target} brings no hook: it is no Flow, has no Flow with handlers, and none of the functions "
            f"{', '.join(KINDS)}"
        )
    return Hooks(**{kind: _adapt(kind, function, concurrency) for kind, function in functions.items()})


def _find_handlers(found: object, target: str) -> Handlers | None:
    """Return the handlers of a flow, or of the one in a module that has any; None where there is no such flow."""
    if isinstance(found, Decorators):
        return found.handlers
    if not isinstance(found, ModuleType):
        return None
    flows = {name: each for name, each in vars(found).items() if isinstance(each, Decorators) and each.handlers.kinds}
    if len({id(flow) for flow in flows.values()}) > 1:
        names = " or ".join(f"{target}:{name}" for name in flows)
        raise ConfigurationError(f"{target} has several flows with handlers: name one, {names}")
    return next((flow.handlers for flow in flows.values()), None)


def _adapt(kind: str, function: Callable[[Any], Any], concurrency: int) -> Callable[[Any], Awaitable[Any]]:
    call = (
        function
        if is_coroutine_function(function)
        else partial(FunctionThreads(f"hook-{kind}", concurrency).call, function)
    )

    async def adapted(question: Any) -> Any:
        return _as_answer(kind, await call(question))

    return adapted


def _as_answer(kind: str, said: Any) -> Any:
    """Return what a function said as an answer: nothing allows, True and False decide, a call may give any JSON."""
    if kind == "rpc":
        return said if isinstance(said, RpcAnswer) else RpcAnswer(msgspec.json.encode(said))
    if kind == "authorize" and isinstance(said, bool):
        return AuthorizeAnswer(said)
    if said is False and kind in _ALLOWED:
        raise Refuse()
    return _ALLOWED.get(kind) if said is None or said is True else said
