"""Channels that have no process of their own: several workers may receive, and one of them gets each message.

A queue is a channel of the gateway, which keeps what was sent; who wants a message publishes a claim, under a key that
all of them would use, so that the first is stored and the others are not. What is stored says whose it is.

Owns what of the queues was seen here and not yet claimed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from messageflow.errors import MessageflowError
from messageflow.integrations.channels.consumer_queues import LOOK_EVERY, ConsumerQueue, Envelope
from messageflow.publisher.async_flow import AsyncFlow
from messageflow.publisher.results import Position

MOST_SEEN = 10_000  # of one queue, as many as a gateway keeps


class Candidate(NamedTuple):
    """A message of a queue as the gateway has it.

    Args:
        epoch, offset: where it is.
        envelope: what was sent.
        is_ours: whether it was claimed already, by somebody here who then had no use for it.
    """

    epoch: str
    offset: int
    envelope: Envelope
    is_ours: bool = False


class SharedQueues:
    """The queues that one process sends to and receives from.

    Args:
        flow: asks the gateway.
        prefix: what the names of its channels begin with.
        own: names this process.
        get_capacity: how many messages may wait in a channel.

    Attributes:
        sent: when what was sent from here expires, by channel, as long as it was not received here.
    """

    def __init__(self, flow: AsyncFlow, prefix: str, own: str, get_capacity: Callable[[str], int]) -> None:
        self._flow = flow
        self._queues, self._claims = f"{prefix}queue.", f"{prefix}claims."
        self._own = own
        self._get_capacity = get_capacity
        self._seen: dict[str, ConsumerQueue[Candidate]] = {}
        self.sent: dict[str, deque[float]] = {}
        self._looked = time.time()
        self._left: dict[str, asyncio.Task[bool]] = {}

    def name(self, channel: str) -> str:
        """Return what a channel is called at the gateway."""
        return self._queues + channel

    def is_one(self, name: str) -> bool:
        """Whether a channel of the gateway is one of these."""
        return name.startswith(self._queues)

    async def send(
        self, channel: str, envelope: Envelope, publish: Callable[[str, Envelope], Awaitable[object]]
    ) -> bool:
        """Add a message. Returns whether there was room."""
        if await self._is_full(channel):
            return False
        self._forget_expired(every=LOOK_EVERY)
        self.sent.setdefault(channel, deque(maxlen=MOST_SEEN)).append(envelope.expires)
        await publish(self.name(channel), envelope)
        return True

    async def _is_full(self, channel: str) -> bool:
        """Whether of the newest messages, as many as may wait, none has expired or was claimed."""
        capacity = self._get_capacity(channel)
        history = await self._flow.history(self.name(channel), limit=capacity, reverse=True)
        newest = [each for each in history.publications if each.data[1] > time.time()]
        if len(newest) < capacity:
            return False
        claims = await self._flow.history(self._claims + channel, limit=capacity, reverse=True)
        claimed = {(each.data["epoch"], each.data["offset"]) for each in claims.publications}
        return not any((history.epoch, each.offset) in claimed for each in newest)

    def offer(self, name: str, epoch: str, offset: int, envelope: Envelope) -> None:
        """Take what the gateway has of a queue: it may be claimed."""
        channel = name.removeprefix(self._queues)
        self._find(channel).put(envelope.expires, Candidate(epoch, offset, envelope))

    async def take(self, channel: str) -> Envelope:
        """Return the next message that nobody else has. Cancelled, it has taken none."""
        self._forget_expired()
        queue = self._find(channel)
        while True:
            left = self._left.get(channel)
            if left is not None and left.get_loop() is asyncio.get_running_loop():
                await asyncio.wait([left])  # so that what comes of it is the next
            candidate = await queue.take()
            if candidate.is_ours or await self._try(channel, candidate, queue):
                self._settle(channel)
                return candidate.envelope

    def put_back(self, channel: str, envelope: Envelope) -> None:
        """Let a message that was taken be the next one here again."""
        self._find(channel).put_back(envelope.expires, Candidate("", 0, envelope, is_ours=True))

    async def _try(self, channel: str, candidate: Candidate, queue: ConsumerQueue[Candidate]) -> bool:
        """Claim a message. Whoever is cancelled meanwhile leaves it to the next who takes from here."""
        claiming = asyncio.create_task(self._claim(channel, candidate))
        expires = candidate.envelope.expires

        def put_back(done: asyncio.Task[bool]) -> None:
            if self._left.get(channel) is done:
                del self._left[channel]
            if done.cancelled() or done.exception() is not None:
                queue.put_back(expires, candidate)
            elif done.result():
                queue.put_back(expires, candidate._replace(is_ours=True))

        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            self._left[channel] = claiming
            claiming.add_done_callback(put_back)
            raise
        except MessageflowError:
            queue.put_back(expires, candidate)
            raise

    async def _claim(self, channel: str, candidate: Candidate) -> bool:
        """Whether a message is ours: whose claim came first is the one that is stored."""
        claim = {"by": self._own, "epoch": candidate.epoch, "offset": candidate.offset}
        name = self._claims + channel
        receipt = await self._flow.publish(name, claim, idempotency_key=f"{name}:{candidate.epoch}:{candidate.offset}")
        stored = await self._flow.history(name, limit=1, since=Position(receipt.offset - 1, receipt.epoch))
        return any(each.data == claim for each in stored.publications)

    async def clear(self) -> None:
        """Remove what the queues have: those that are known here, and those that anybody hears."""
        heard = await self._flow.channels(f"{self._queues}*")
        for name in {*heard, *map(self.name, [*self.sent, *self._seen])}:
            await self._flow.history_remove(name)
        self.forget()

    def forget(self) -> None:
        """Forget what was seen and sent here."""
        self.sent.clear()
        for queue in self._seen.values():
            queue.messages.clear()

    def _find(self, channel: str) -> ConsumerQueue[Candidate]:
        queue = self._seen.get(channel)
        if queue is None:
            queue = self._seen[channel] = ConsumerQueue(MOST_SEEN)
        return queue

    def _settle(self, channel: str) -> None:
        waiting = self.sent.get(channel)
        if waiting:
            waiting.popleft()
        if not waiting:
            self.sent.pop(channel, None)

    def _forget_expired(self, every: float = 0) -> None:
        now = time.time()
        if now < self._looked + every:
            return
        self._looked = now
        for channel, waiting in [*self.sent.items()]:
            while waiting and waiting[0] <= now:
                waiting.popleft()
            if not waiting:
                del self.sent[channel]
