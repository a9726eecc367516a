"""Leaving without a herd: the clients of a worker that goes are asked to come back elsewhere, a few at a time.

They are told in batches spread over the drain time, since all they do next, connecting and recovering, is work for
the workers that stay. Before each batch everything pending is written, so that nobody is told to leave before what
they were to get. Cut short at any point it is merely a crash: nothing is kept here that anybody needs afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from itertools import islice

from messageflow.hub.hub import Hub

log = logging.getLogger("messageflow.hub")

BATCH_EVERY = 0.1  # seconds
NO_NEED_TO_SPREAD = 100  # sessions a second that are no herd: fewer sessions take less than the drain time
MOST_A_SECOND = 1000  # whatever the drain time


class Drain:
    """The end of one hub: nobody comes in any more, and those who are in are told to go.

    Args:
        hub: whose sessions these are.
        drain_time: seconds over which they are spread; 0 leaves all to `Hub.close`.
    """

    def __init__(self, hub: Hub, drain_time: float) -> None:
        self._hub = hub
        hub.draining = True
        count = len(hub.sessions)
        batches = max(1, round(min(drain_time, count / NO_NEED_TO_SPREAD) / BATCH_EVERY))
        self.batch = min(math.ceil(count / batches), round(MOST_A_SECOND * BATCH_EVERY))  # sessions
        self.remaining = count if drain_time else 0

    def step(self) -> None:
        """Tell one batch to go; those who came longest ago first."""
        hub = self._hub
        hub.fan_out.flush()
        for session in list(islice(hub.sessions.values(), max(1, self.batch))):
            session.disconnect(hub.goodbye)
        self.remaining = len(hub.sessions)

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Tell all to go, batch by batch, until none is left or `is_over`."""
        log.info("draining", extra={"sessions": self.remaining, "batch": self.batch})
        while self.remaining and not is_over():
            self.step()
            await asyncio.sleep(BATCH_EVERY)
        log.info("drained", extra={"left": len(self._hub.sessions)})
