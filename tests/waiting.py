"""Waiting in tests for what real time brings about: for a condition, with a generous limit, never for a time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

SECONDS = 15.0
MOST = 5.0  # times as long as on a machine that does nothing else: beyond that it is no place for tests


def patience(seconds: float) -> float:
    """Return how long to wait for what takes less than `seconds` where a processor is free for it.

    A limit is there to find what never happens. Where a processor is shared by many, all that does happen takes as many
    times longer: with 38 processes on two processors the start of a gateway, half a second's work, took half a minute.
    """
    return seconds * min(MOST, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


async def until(condition: Callable[[], object]) -> None:
    """Return once a condition holds, within ten seconds that the event loop has for it."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not happen")


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Return once a condition holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < patience(seconds), "it does not happen"
        time.sleep(0.02)
