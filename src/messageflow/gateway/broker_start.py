"""A start that waits for its broker: under systemd or compose all begin together, and Redis may be the last.

Owns for how long, and that a signal ends the waiting; never which failure passes by itself: that is `Unavailable` and
`Unanswered`, and any other ends the start at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable

from messageflow.core.backoff import Backoff
from messageflow.errors import Unanswered, Unavailable

log = logging.getLogger("messageflow.gateway")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds between attempts


async def start_patiently(start: Callable[[], Awaitable[None]], patience: float) -> None:
    """Start what needs the broker, and again while it cannot be reached.

    Args:
        start: may be called again when it has failed.
        patience: seconds after which no further attempt is made; 0 makes one.

    Raises:
        BrokerError: of the last attempt.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
    while True:
        try:
            await start()
            break
        except (Unavailable, Unanswered) as error:
            left = began + patience - loop.time()
            if left <= 0:
                raise
            pause = min(backoff.fail(), left)
            if backoff.failures == 1:
                log.warning("broker_awaited", extra={"attempt": 1, "reason": str(error), "at_most": round(left, 1)})
        await asyncio.sleep(pause)
    if backoff.failures:
        waited = round(loop.time() - began, 1)
        log.info("broker_reached", extra={"attempt": backoff.failures + 1, "waited": waited})


async def finish_unless_ended(work: Awaitable[None]) -> bool:
    """Await some work, which SIGTERM ends.

    From the first process of a container the kernel keeps a signal that it has no handler for.

    Returns:
        Whether it came to its end.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    previous = signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(task.cancel))
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
    if task.cancelled():
        return False
    task.result()
    return True
