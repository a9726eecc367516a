"""Functions of an application, called from an event loop: coroutine functions on it, plain ones on threads.

Owns the threads of each caller. Never decides what is called.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import CodeType, FrameType, TracebackType
from typing import Any


def is_coroutine_function(function: Any) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


class ThreadCall:
    """A call that is handed to a thread.

    Args:
        function: to call.
        argument: of it.

    Attributes:
        thread: where it runs, once it does.
    """

    __slots__ = ("answer", "argument", "function", "loop", "thread")

    def __init__(self, function: Callable[[Any], Any], argument: Any) -> None:
        self.function = function
        self.argument = argument
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self.loop.create_future()
        self.thread = 0


class FunctionThreads:
    """Threads that call plain functions, as many as there are calls at once.

    A thread whose caller gave up is busy until the function returns. Until then it has its place, so that no more calls
    are handed out than there are threads. A process that ends lets functions end that have begun.

    A queue of our own, and no executor, costs 4 µs of CPU a call where it was 58 (benchmarks: handlers).

    Args:
        name: of the threads.
        count: how many there are at most.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._places = asyncio.Semaphore(count)
        self._calls: SimpleQueue[ThreadCall | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    async def call(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """Return what a function makes of an argument.

        Cancelling it leaves the function running; the traceback of the cancellation is where its thread stands.
        """
        await self._places.acquire()
        call = ThreadCall(function, argument)
        self._busy += 1
        if self._busy > len(self._threads):
            self._add_thread()
        self._calls.put(call)
        try:
            return await call.answer
        except asyncio.CancelledError as error:
            frame = sys._current_frames().get(call.thread) if call.answer.cancelled() else None
            raise error.with_traceback(_trace(frame, self._work.__code__)) from None

    def _add_thread(self) -> None:
        if not self._threads:
            atexit.register(self._end)
        thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.thread = threading.get_ident()
            result, error = None, None
            try:
                result = call.function(call.argument)
            except BaseException as raised:  # a `sys.exit()`, too, is for the caller to see
                error = raised
            call.thread = 0
            try:
                call.loop.call_soon_threadsafe(self._finish, call, result, error)
            except RuntimeError:  # the loop has ended, and nobody waits
                pass
            call, result, error = None, None, None

    def _finish(self, call: ThreadCall, result: Any, error: BaseException | None) -> None:
        self._places.release()
        self._busy -= 1
        if call.answer.done():  # its caller gave up
            return
        if error is None:
            call.answer.set_result(result)
        elif isinstance(error, StopIteration):  # which no future takes
            call.answer.set_exception(RuntimeError("the function raised StopIteration"))
        else:
            call.answer.set_exception(error)

    def _end(self) -> None:
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()


def _trace(frame: FrameType | None, beginning: CodeType) -> TracebackType | None:
    """Return where a thread stands, from what was called first on, as a traceback."""
    trace: TracebackType | None = None
    while frame is not None and frame.f_code is not beginning:
        trace = TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return trace if frame is not None else None
