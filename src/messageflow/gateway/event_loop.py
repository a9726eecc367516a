"""Which event loop a gateway runs on: uvloop where it is to be had, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new event loop, and return what it returns."""
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop; None for asyncio's own: uvloop has no version for Windows, nor a wheel for every system."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
