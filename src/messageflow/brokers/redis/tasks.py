"""Supervised tasks: work that goes on for as long as a broker lives, and is restarted with a back-off when it fails."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from messageflow.core.backoff import Backoff

log = logging.getLogger("messageflow.broker")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # seconds before work that failed begins again
WELL_AFTER = 60.0  # seconds without a failure after which the pauses begin short again


def supervise(work: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[None]:
    """Return a task that does some work until it is cancelled, and begins again when it fails.

    Args:
        work: ends only by being cancelled, or by an unexpected error.
        name: of the task, for the log.
    """
    return asyncio.get_running_loop().create_task(_run_forever(work, name), name=name)


async def _run_forever(work: Callable[[], Awaitable[None]], name: str) -> None:
    backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
    while True:
        began = time.monotonic()
        try:
            await work()
        except Exception:
            log.exception("task_failed", extra={"task": name})
        if time.monotonic() - began > WELL_AFTER:
            backoff.reset()
        await asyncio.sleep(backoff.fail())


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Return when an event is set, at the latest after so many seconds; it is cleared then."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()


async def cancel_all(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks, and return once they are gone."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    tasks.clear()
