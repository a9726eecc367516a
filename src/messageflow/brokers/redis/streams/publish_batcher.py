"""Publications of many callers, stored together: while one call of the script is under way, the next one gathers.

A caller who is alone waits for nobody. Under load Redis and the gateway spend a third on each publication
(benchmarks: redis-push). Each server has rounds of its own: one that hangs takes nothing along that others have. Nobody
waits longer than the deadline, and what waits is bounded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence

from messageflow.brokers.base import Item
from messageflow.brokers.redis.streams.stream_store import Outcome
from messageflow.brokers.redis.tasks import cancel_all, supervise
from messageflow.errors import BrokerError, Unanswered, Unavailable

UNDER_WAY = 2  # rounds of a server at the same time: while it carries out one, the next is already there
LARGEST = 1_000  # publications in a round that are not of one caller
MOST_WAITING = 64 << 20  # bytes; beyond it publications are refused

Publish = Callable[[Sequence[Item]], Awaitable[list[Outcome]]]


class _PendingPublish:
    """Who waits for what came of his items, since when, and how many bytes they have."""

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
    """The publications for one server: who waits, and which rounds are under way.

    Args:
        publish: as `PublishBatcher` has it.

    Attributes:
        size: bytes of what waits.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_PendingPublish] = deque()
        self._rounds: dict[asyncio.Task[None], list[_PendingPublish]] = {}
        self._due = False  # a round is about to begin
        self.size = 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for anything."""
        return not (self._waiting or self._rounds)

    def add(self, items: Sequence[Item]) -> asyncio.Future[list[Outcome]]:
        """Let items wait for their round; return what will come of each."""
        caller = _PendingPublish(items, self._loop.create_future(), self._loop.time())
        self._waiting.append(caller)
        self.size += caller.size
        self._begin_soon()
        return caller.outcome

    def give_up(self, oldest: float) -> None:
        """Tell all who came before a moment that they wait no longer."""
        _give_up(self._waiting, oldest, Unavailable("Redis is behind: it was not asked in time"))
        for taken in self._rounds.values():
            _give_up(taken, oldest, Unanswered("Redis did not answer in time"))

    async def emptied(self) -> None:
        """Return once all that waits has its outcome."""
        while not self.is_idle:
            await asyncio.wait(list(self._rounds) or [self._loop.create_task(asyncio.sleep(0))])

    def _begin_soon(self) -> None:
        if not self._due and self._waiting and len(self._rounds) < UNDER_WAY:
            self._due = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Begin a round with those who came first."""
        self._due = False
        taken: list[_PendingPublish] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0].items) <= LARGEST):
            caller = self._waiting.popleft()
            self.size -= caller.size
            if not caller.outcome.done():  # else he gave up
                taken.append(caller)
                count += len(caller.items)
        if taken:
            task = self._loop.create_task(self._carry_out(taken))
            self._rounds[task] = taken
            task.add_done_callback(self._ended)
        self._begin_soon()

    async def _carry_out(self, taken: Iterable[_PendingPublish]) -> None:
        try:
            outcomes = await self._publish([item for caller in taken for item in caller.items])
        except BaseException as error:
            for caller in taken:
                caller.fail(error)
            raise
        start = 0
        for caller in taken:
            end = start + len(caller.items)
            caller.settle(outcomes[start:end])
            start = end

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._rounds[task]
        if not task.cancelled():
            task.exception()  # whoever waited has it
        self._begin_soon()


def _give_up(callers: Iterable[_PendingPublish], oldest: float, error: BrokerError) -> None:
    for caller in callers:
        if caller.since > oldest:
            break
        caller.fail(error)


class PublishBatcher:
    """The publications of one node.

    Args:
        publish: stores items and returns what came of each. Never raises `BrokerError`.
        server: returns what tells the server that has a channel from others.
        deadline: seconds after which nobody waits any more.

    Attributes:
        refused: how many publications were refused because too much waited already.
    """

    def __init__(self, publish: Publish, server: Callable[[str], Hashable], deadline: float) -> None:
        self._publish = publish
        self._server = server
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[Hashable, _ServerQueue] = {}
        self._tasks = [supervise(self._watch, "redis-rounds")]
        self.refused = 0

    async def publish(self, items: Sequence[Item]) -> list[Outcome]:
        """Store items in order, among those of others, and return what came of each.

        When cancelled they may be stored or not.

        Raises:
            Unavailable: they waited too long, or too much waits already: nothing was stored.
            Unanswered: they were sent, and no answer came in time.
        """
        waiting = sum([lane.size for lane in self._lanes.values()])
        if waiting > MOST_WAITING:
            self.refused += len(items)
            raise Unavailable(f"Redis is behind: {waiting >> 20} MiB wait to be stored")
        if len(items) == 1:
            return await self._lane(self._server(items[0].channel)).add(items)
        parts: dict[Hashable, list[int]] = {}
        for index, item in enumerate(items):
            parts.setdefault(self._server(item.channel), []).append(index)
        if len(parts) == 1:
            return await self._lane(next(iter(parts))).add(items)
        added = [self._lane(server).add([items[index] for index in part]) for server, part in parts.items()]
        outcomes: list[Outcome] = [Unavailable("it was not asked")] * len(items)
        for part, found in zip(parts.values(), await asyncio.gather(*map(_outcomes_or_error, added)), strict=True):
            for place, index in enumerate(part):
                outcomes[index] = found if isinstance(found, BrokerError) else found[place]
        return outcomes

    def _lane(self, server: Hashable) -> _ServerQueue:
        lane = self._lanes.get(server)
        if lane is None:
            lane = self._lanes[server] = _ServerQueue(self._publish)
        return lane

    async def _watch(self) -> None:
        """Let nobody wait beyond the deadline, and forget servers for which there is nothing to do."""
        while True:
            await asyncio.sleep(self._deadline / 8)
            for server, lane in list(self._lanes.items()):
                lane.give_up(self._loop.time() - self._deadline)
                if lane.is_idle:
                    del self._lanes[server]

    async def close(self) -> None:
        """Return once what was accepted has its outcome."""
        for lane in list(self._lanes.values()):
            await lane.emptied()
        await cancel_all(self._tasks)


async def _outcomes_or_error(outcome: asyncio.Future[list[Outcome]]) -> list[Outcome] | BrokerError:
    try:
        return await outcome
    except BrokerError as error:
        return error
