"""The application's hooks in the gateway's own process: functions of a module, or of an object in one.

The object has a function for each kind of hook it brings, called like the kind. Coroutine functions run
on the event loop, plain ones on threads, so that they may block. Each worker imports the object for itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from messageflow.errors import ConfigurationError, Refuse
from messageflow.gateway.object_loading import load_object
from messageflow.handlers.calling import Threads, is_coroutine_function
from messageflow.handlers.decorators import Decorators
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
    if isinstance(found, Decorators):
        return found.handlers
    functions = {kind: getattr(found, kind) for kind in KINDS if callable(getattr(found, kind, None))}
    if not functions:
        raise ConfigurationError(
            f"{target} brings no hook: it has none of the functions {', '.join(KINDS)}. A module or an object with at "
            "least one of them does"
        )
    return Hooks(**{kind: _adapt(kind, function, concurrency) for kind, function in functions.items()})


def _adapt(kind: str, function: Callable[[Any], Any], concurrency: int) -> Callable[[Any], Awaitable[Any]]:
    call = function if is_coroutine_function(function) else partial(Threads(f"hook-{kind}", concurrency).call, function)

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
