"""Batches of publications: while one call of the script is under way, the publications of many callers gather for the
next.

A caller that is alone waits for no other. Under load Redis and the gateway spend a third on each publication
(benchmarks: redis-push). Each server has a queue of its own, so one that hangs delays no other. No caller waits longer
than the deadline, and the queues are bounded in bytes. Owns the queues and the calls under way, never how a publication
is stored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence

from messageflow.brokers.redis.streams.stream_store import Outcome
from messageflow.brokers.redis.tasks import cancel_all, supervise
from messageflow.core.stream import Item
from messageflow.errors import BrokerError, Unanswered, Unavailable

UNDER_WAY = 2  # batches of a server at the same time: while it carries out one, the next is already there
LARGEST = 1_000  # publications in a batch, unless one caller has more
MOST_WAITING = 64 << 20  # bytes; beyond it publications are refused

Publish = Callable[[Sequence[Item]], Awaitable[list[Outcome]]]


class _PendingPublish:
    """The items of one call of `publish`, and the future of their outcomes."""

    __slots__ = ("items", "outcome", "since", "size")

    def __init__(self, items: Sequence[Item], outcome: asyncio.Future[list[Outcome]], since: float) -> None:
        self.items = items
        self.outcome = outcome
        self.since = since
        self.size = sum([item.size for item in items])

    def settle(self, outcomes: list[Outcome]) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcomes)

    def fail(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class _ServerQueue:
    """The publications for one server: calls that wait, and batches under way.

    Args:
        publish: as `PublishBatcher` has it.

    Attributes:
        size: bytes of what waits.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_PendingPublish] = deque()
        self._batches: dict[asyncio.Task[None], list[_PendingPublish]] = {}
        self._due = False  # a batch is about to begin
        self.size = 0

    @property
    def is_idle(self) -> bool:
        """Whether no call waits or is under way."""
        return not (self._waiting or self._batches)

    def add(self, items: Sequence[Item]) -> asyncio.Future[list[Outcome]]:
        """Queue the items of a call; return the future of their outcomes."""
        pending = _PendingPublish(items, self._loop.create_future(), self._loop.time())
        self._waiting.append(pending)
        self.size += pending.size
        self._begin_soon()
        return pending.outcome

    def give_up(self, oldest: float) -> None:
        """Fail all calls that came before a moment."""
        _give_up(self._waiting, oldest, Unavailable("Redis is behind: it was not asked in time"))
        for taken in self._batches.values():
            _give_up(taken, oldest, Unanswered("Redis did not answer in time"))

    async def drain(self) -> None:
        """Return once all that waits has its outcome."""
        while not self.is_idle:
            await asyncio.wait(list(self._batches) or [self._loop.create_task(asyncio.sleep(0))])

    def _begin_soon(self) -> None:
        if not self._due and self._waiting and len(self._batches) < UNDER_WAY:
            self._due = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Begin a batch with the calls that came first."""
        self._due = False
        taken: list[_PendingPublish] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0].items) <= LARGEST):
            pending = self._waiting.popleft()
            self.size -= pending.size
            if not pending.outcome.done():  # else it was cancelled
                taken.append(pending)
                count += len(pending.items)
        if taken:
            task = self._loop.create_task(self._store_batch(taken))
            self._batches[task] = taken
            task.add_done_callback(self._reap)
        self._begin_soon()

    async def _store_batch(self, taken: Iterable[_PendingPublish]) -> None:
        try:
            outcomes = await self._publish([item for pending in taken for item in pending.items])
        except BaseException as error:
            for pending in taken:
                pending.fail(error)
            raise
        start = 0
        for pending in taken:
            end = start + len(pending.items)
            pending.settle(outcomes[start:end])
            start = end

    def _reap(self, task: asyncio.Task[None]) -> None:
        del self._batches[task]
        if not task.cancelled():
            task.exception()  # its callers have it
        self._begin_soon()


def _give_up(callers: Iterable[_PendingPublish], oldest: float, error: BrokerError) -> None:
    for pending in callers:
        if pending.since > oldest:
            break
        pending.fail(error)


class PublishBatcher:
    """The publications of one node.

    Args:
        publish: stores items and returns what came of each. Never raises `BrokerError`.
        server: returns what tells the server that has a channel from others.
        deadline: seconds after which a call fails.

    Attributes:
        refused: how many publications were refused because too much waited already.
    """

    def __init__(self, publish: Publish, server: Callable[[str], Hashable], deadline: float) -> None:
        self._publish = publish
        self._server = server
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._queues: dict[Hashable, _ServerQueue] = {}
        self._tasks = [supervise(self._enforce_deadline, "redis-publish")]
        self.refused = 0

    async def publish(self, items: Sequence[Item]) -> list[Outcome]:
        """Store items in order, among those of others, and return what came of each.

        When cancelled they may be stored or not.

        Raises:
            Unavailable: they waited too long, or too much waits already: nothing was stored.
            Unanswered: they were sent, and no answer came in time.
        """
        waiting = sum([queue.size for queue in self._queues.values()])
        if waiting > MOST_WAITING:
            self.refused += len(items)
            raise Unavailable(f"Redis is behind: {waiting >> 20} MiB wait to be stored")
        if len(items) == 1:
            return await self._queue_of(self._server(items[0].channel)).add(items)
        parts: dict[Hashable, list[int]] = {}
        for index, item in enumerate(items):
            parts.setdefault(self._server(item.channel), []).append(index)
        if len(parts) == 1:
            return await self._queue_of(next(iter(parts))).add(items)
        added = [self._queue_of(server).add([items[index] for index in part]) for server, part in parts.items()]
        outcomes: list[Outcome] = [Unavailable("it was not asked")] * len(items)
        for part, found in zip(parts.values(), await asyncio.gather(*map(_outcomes_or_error, added)), strict=True):
            for place, index in enumerate(part):
                outcomes[index] = found if isinstance(found, BrokerError) else found[place]
        return outcomes

    def _queue_of(self, server: Hashable) -> _ServerQueue:
        queue = self._queues.get(server)
        if queue is None:
            queue = self._queues[server] = _ServerQueue(self._publish)
        return queue

    async def _enforce_deadline(self) -> None:
        """Fail calls that wait beyond the deadline, and forget servers for which there is nothing to do."""
        while True:
            await asyncio.sleep(self._deadline / 8)
            for server, queue in list(self._queues.items()):
                queue.give_up(self._loop.time() - self._deadline)
                if queue.is_idle:
                    del self._queues[server]

    async def close(self) -> None:
        """Return once what was accepted has its outcome."""
        for queue in list(self._queues.values()):
            await queue.drain()
        await cancel_all(self._tasks)


async def _outcomes_or_error(outcome: asyncio.Future[list[Outcome]]) -> list[Outcome] | BrokerError:
    try:
        return await outcome
    except BrokerError as error:
        return error
