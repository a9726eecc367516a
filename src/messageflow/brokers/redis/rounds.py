"""Publications of many callers, stored together: while one call of the script is under way, the next one gathers.

A caller who is alone waits for nobody. Under load Redis and the gateway spend a third on each publication
(benchmarks: redis-push).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from messageflow.brokers.base import Item
from messageflow.brokers.redis.store import Outcome

UNDER_WAY = 2  # rounds at the same time: while Redis carries out one, the next is already there
LARGEST = 1_000  # publications in a round that are not of one caller

Publish = Callable[[Sequence[Item]], Awaitable[list[Outcome]]]


class Rounds:
    """The publications of one node.

    Args:
        publish: stores items and returns what came of each. Never raises `BrokerError`.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Sequence[Item], asyncio.Future[list[Outcome]]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._due = False

    async def publish(self, items: Sequence[Item]) -> list[Outcome]:
        """Store items in order, among those of others, and return what came of each.

        When cancelled they may be stored or not.
        """
        outcome: asyncio.Future[list[Outcome]] = self._loop.create_future()
        self._waiting.append((items, outcome))
        self._begin_soon()
        return await outcome

    def _begin_soon(self) -> None:
        if not self._due and len(self._tasks) < UNDER_WAY:
            self._due = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._due = False
        if not self._waiting:
            return
        size = count = 0
        for items, _ in self._waiting:
            if count and size + len(items) > LARGEST:
                break
            size += len(items)
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        task = self._loop.create_task(self._carry_out(taken))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        if self._waiting:
            self._begin_soon()

    async def _carry_out(self, taken: list[tuple[Sequence[Item], asyncio.Future[list[Outcome]]]]) -> None:
        start = 0
        try:
            outcomes = await self._publish([item for items, _ in taken for item in items])
        except BaseException as error:
            for _, future in taken:
                if not future.done():
                    future.set_exception(error)
            raise
        for items, future in taken:
            if not future.done():
                future.set_result(outcomes[start : start + len(items)])
            start += len(items)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it
        if self._waiting:
            self._begin_soon()

    async def close(self) -> None:
        """Return once what was accepted has its outcome."""
        while self._tasks or self._waiting:
            await asyncio.wait(self._tasks or [asyncio.ensure_future(asyncio.sleep(0))])
