"""Functions called from an event loop."""

from __future__ import annotations

import asyncio
import threading
import traceback

import pytest

from messageflow.handlers.function_threads import FunctionThreads, is_coroutine_function


class Callable:
    def __call__(self, argument: int) -> int:
        return argument


class AsyncCallable:
    async def __call__(self, argument: int) -> int:
        return argument


def test_what_runs_on_the_loop() -> None:
    async def function(argument: int) -> int:
        return argument

    assert [is_coroutine_function(each) for each in (function, AsyncCallable(), Callable(), print)] == [
        True,
        True,
        False,
        False,
    ]


async def test_where_a_thread_hangs_is_the_traceback_of_who_gave_up() -> None:
    gate, begun = threading.Event(), threading.Event()

    def hang(argument: int) -> None:
        begun.set()
        gate.wait(30)

    waiting = asyncio.ensure_future(FunctionThreads("test", 1).call(hang, 1))
    assert await asyncio.to_thread(begun.wait, 30)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await waiting
    gate.set()
    shown = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert shown[shown.index("hang") :][:2] == ["hang", "wait"]


async def test_who_gives_up_in_line_was_never_called() -> None:
    gate, calls = threading.Event(), list[int]()

    def hang(argument: int) -> None:
        calls.append(argument)
        gate.wait(30)

    threads = FunctionThreads("test", 1)
    first, second = (asyncio.ensure_future(threads.call(hang, number)) for number in (1, 2))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    await first
    assert calls == [1]
