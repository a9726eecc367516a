"""Functions of an application, called from an event loop: coroutine functions on it, plain ones on threads.

Owns the threads of each caller. Never decides what is called.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType, TracebackType
from typing import Any


def is_coroutine_function(function: Any) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


class Threads:
    """Threads that call plain functions.

    A thread whose caller gave up is busy until the function returns. Until then it has its place, so that no more calls
    are handed out than there are threads.

    Args:
        name: of the threads.
        count: how many there are.
    """

    def __init__(self, name: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._places = asyncio.Semaphore(count)

    async def call(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """Return what a function makes of an argument.

        Cancelling it leaves the function running; the traceback of the cancellation is where its thread stands.
        """
        await self._places.acquire()
        where: list[int] = []

        def run() -> Any:
            where.append(threading.get_ident())
            return function(argument)

        running = asyncio.get_running_loop().run_in_executor(self._pool, run)
        running.add_done_callback(self._end)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError as error:
            frame = sys._current_frames().get(where[0]) if where and not running.done() else None
            raise error.with_traceback(_trace(frame, run.__code__)) from None

    def _end(self, running: asyncio.Future[Any]) -> None:
        self._places.release()
        if not running.cancelled():
            running.exception()  # which nobody may wait for any more


def _trace(frame: FrameType | None, beginning: object) -> TracebackType | None:
    """Return where a thread stands, from what was called first on, as a traceback."""
    trace: TracebackType | None = None
    while frame is not None and frame.f_code is not beginning:
        trace = TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return trace if frame is not None else None
