"""Work that is begun where it is asked for, and becomes a task only when it has to wait.

Most commands and calls never wait: over a broker of this process all is done in one step. A task for each costs its
object, a turn of the loop and its bookkeeping, about 9 µs of a connect's 200 (benchmarks: connect).

What is begun so has no current task until it first waits. What needs one, as `asyncio.timeout` does, asks for it by
`brokers.base.own_task`.
"""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

from messageflow.brokers.base import Waiter

T = TypeVar("T")
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

Begun = tuple[Coroutine[Any, Any, None], Any]
"""Work that was begun, and what it waits for."""

log = logging.getLogger("messageflow.hub")

_NOTHING = object()


class Done(Coroutine[Any, Any, T]):
    """Work that took no time: who awaits it has its result at once, and who looks need not run it.

    What a broker of this process returns where others return a coroutine. Of a connect it saves five of them, each of
    which ends by an exception (benchmarks: connect).

    Args:
        result: of the work.
    """

    __slots__ = ("result",)

    def __init__(self, result: T) -> None:
        self.result = result

    def send(self, value: Any) -> Any:
        raise StopIteration(self.result)

    def throw(self, error: Any, *more: Any) -> Any:
        raise error

    def close(self) -> None:
        """There is nothing to end."""

    def __await__(self) -> Generator[Any, Any, T]:
        yield from ()
        return self.result


NOTHING_TO_WAIT_FOR = Done(None)


def start_eagerly(work: Coroutine[Any, Any, None], spawn: Spawn) -> asyncio.Task[None] | None:
    """Run work up to where it first waits.

    Args:
        work: raises nothing but CancelledError before it first waits, which ends it.
        spawn: makes a task of the rest.

    Returns:
        The task; None when there was nothing to wait for.
    """
    try:
        awaited = work.send(None)
    except (StopIteration, asyncio.CancelledError):
        return None
    return spawn(_Begun(work, awaited))


def run_without_task(work: Coroutine[Any, Any, None], spawn: Spawn) -> None:
    """Run work, for as long as it waits for nothing but a `brokers.base.Waiter` without a task. Nobody can cancel it.

    Args:
        work: raises nothing that is worth more than a line of the log.
        spawn: makes a task of the rest once it waits for something else.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return
    except Exception:
        log.exception("task_failed", extra={"task": getattr(work, "__name__", "")})
        return  # logged and not raised: all else that goes on in this step does
    if isinstance(awaited, Waiter) and awaited.go_on is None and not awaited.done():
        awaited._asyncio_future_blocking = False  # as a task does with what it is handed
        awaited.go_on = partial(run_without_task, work, spawn)
    else:
        spawn(_Begun(work, awaited))


def begin(work: Coroutine[Any, Any, None]) -> Begun | None:
    """Run work up to where it first waits, and return what `resume` goes on with; None when nothing is left.

    What the work has asked for by then is under way beside whatever its caller does meanwhile.
    """
    if type(work) is Done:
        return None
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return work, awaited


class _Begun(Coroutine[Any, Any, None]):
    """Work that was begun already: what it waits for comes first, or an exception that is thrown into it there.

    A coroutine function around it would not do: a task that is cancelled before its first step never enters it.
    """

    __slots__ = ("_awaited", "_work")

    def __init__(self, work: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._work = work
        self._awaited = awaited

    def send(self, value: Any) -> Any:
        awaited, self._awaited = self._awaited, _NOTHING
        return self._work.send(value) if awaited is _NOTHING else awaited

    def throw(self, *error: Any) -> Any:
        self._awaited = _NOTHING
        return self._work.throw(*error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return resume(self._work, self._awaited).__await__()


class InSteps(Coroutine[Any, Any, None]):
    """Work that a task goes on with, each of whose steps is taken by somebody else.

    Args:
        work: what is run.
        take_step: is given what takes one step of it, and the arguments of that.
    """

    __slots__ = ("_take_step", "_work")

    def __init__(self, work: Coroutine[Any, Any, None], take_step: Callable[..., Any]) -> None:
        self._work = work
        self._take_step = take_step

    def send(self, value: Any) -> Any:
        return self._take_step(self._work.send, value)

    def throw(self, *error: Any) -> Any:
        return self._take_step(self._work.throw, *error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._work.__await__()


@types.coroutine
def resume(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """Wait for what some work waits for already, and then be that work.

    Args:
        work: was begun, by `send(None)`.
        awaited: what that returned.
    """
    while True:
        step: Callable[[], Any] = partial(work.send, None)
        if not (isinstance(awaited, Waiter) and awaited.done()):  # a task takes a turn of the loop for one that is
            try:
                value = yield awaited
            except BaseException as error:
                step = partial(work.throw, error)
            else:
                step = partial(work.send, value)
        try:
            awaited = step()
        except StopIteration as done:
            result: T = done.value
            return result
