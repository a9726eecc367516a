"""Waiting in tests for what real time brings about: for a condition, with a generous limit, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SECONDS = 15.0


async def until(condition: Callable[[], object]) -> None:
    """Return once a condition holds, within ten seconds that the event loop has for it."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not happen")


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Return once a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
