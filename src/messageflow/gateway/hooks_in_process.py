"""The application's hooks in the gateway's own process: functions of a module, or of an object in one.

The object has a function for each kind of hook it brings, called like the kind. Coroutine functions run
on the event loop, plain ones on threads, so that they may block. Each worker imports the object for itself.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from messageflow.errors import ConfigurationError, Refuse
from messageflow.gateway.object_loading import load_object
from messageflow.hub.hooks import ANSWERS, KINDS, AuthorizeAnswer, Hooks, RpcAnswer

_ALLOWED = {kind: answer() for kind, answer in ANSWERS.items() if answer is not type(None)}


def load_hooks(target: str, concurrency: int) -> Hooks:
    """Return the hooks of the object named by a setting.

    Args:
        target: `module:object`, or a module.
        concurrency: calls of plain functions of one kind at once.

    Raises:
        ConfigurationError: there is no such object, or it brings no hook.
    """
    found = load_object(target, ())
    functions = {kind: getattr(found, kind) for kind in KINDS if callable(getattr(found, kind, None))}
    if not functions:
        raise ConfigurationError(
            f"{target} brings no hook: it has none of the functions {', '.join(KINDS)}. A module or an object with at "
            "least one of them does"
        )
    return Hooks(**{kind: _adapt(kind, function, concurrency) for kind, function in functions.items()})


def _adapt(kind: str, function: Callable[[Any], Any], concurrency: int) -> Callable[[Any], Awaitable[Any]]:
    call = function if _is_coroutine_function(function) else _on_threads(kind, function, concurrency)

    async def adapted(question: Any) -> Any:
        return _as_answer(kind, await call(question))

    return adapted


def _is_coroutine_function(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _on_threads(kind: str, function: Callable[[Any], Any], concurrency: int) -> Callable[[Any], Awaitable[Any]]:
    """Return a coroutine function that runs a plain one on a thread.

    A thread whose caller gave up is busy until the function returns. Until then it has its place, so that no more calls
    are handed out than there are threads.
    """
    threads = ThreadPoolExecutor(concurrency, thread_name_prefix=f"hook-{kind}")
    places = asyncio.Semaphore(concurrency)

    async def call(question: Any) -> Any:
        await places.acquire()
        running = asyncio.get_running_loop().run_in_executor(threads, function, question)
        running.add_done_callback(end)
        return await asyncio.shield(running)

    def end(running: asyncio.Future[Any]) -> None:
        places.release()
        if not running.cancelled():
            running.exception()  # which nobody may wait for any more

    return call


def _as_answer(kind: str, said: Any) -> Any:
    """Return what a function said as an answer: nothing allows, True and False decide, a call may give any JSON."""
    if kind == "rpc":
        return said if isinstance(said, RpcAnswer) else RpcAnswer(msgspec.json.encode(said))
    if kind == "authorize" and isinstance(said, bool):
        return AuthorizeAnswer(said)
    if said is False and kind in _ALLOWED:
        raise Refuse()
    return _ALLOWED.get(kind) if said is None or said is True else said
