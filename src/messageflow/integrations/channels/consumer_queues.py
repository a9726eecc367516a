"""What waits in this process to be received by consumers, and which groups their channels are in.

Owns the queues, bounded each by the capacity of its channel, and the members. May be put into from any thread. Never
asks a gateway.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from messageflow.core.line_rates import LineRates

T = TypeVar("T")

log = logging.getLogger("messageflow.channels")

LOOK_EVERY = 60.0  # seconds between looks for what nobody will ever receive
ROOM_PATIENCE = 5.0  # seconds that a reader waits for queues that are half full, once until they were empty
IDLE_PATIENCE = 0.5  # seconds of it in which nobody takes anything out of one of them
QUICK_TURNS, PAUSE = 50, 0.002  # turns of the loop that such a wait takes, and seconds between those that follow


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is published at the gateway.

    Args:
        to: the channel; of a message to a group, none.
        expires: when nobody may receive it any more, seconds since 1970 by the sender's clock.
        body: the message.
        group: it is for, or that the channel is to join or to leave.
        joins: whether to join or to leave; None for a message.
        parts: where the body is, in pieces, if it is too large to be here.
    """

    to: str
    expires: float
    body: bytes
    group: str = ""
    joins: bool | None = None
    parts: str = ""


class ConsumerQueue(Generic[T]):
    """The messages of one channel, and who waits for one.

    Args:
        capacity: how many may wait.
    """

    __slots__ = ("capacity", "is_behind", "messages", "waiters")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.is_behind = False
        self.messages = deque[tuple[float, T]]()
        self.waiters = deque[asyncio.Future[None]]()

    def put(self, expires: float, message: T) -> bool:
        """Add a message. Returns whether there was room."""
        messages = self.messages
        if len(messages) >= self.capacity:
            self.drop_expired()
            if len(messages) >= self.capacity:
                return False
        messages.append((expires, message))
        if self.waiters:
            self._wake()
        return True

    def put_back(self, expires: float, message: T) -> None:
        """Let a message that was taken be the next one again."""
        self.messages.appendleft((expires, message))
        if self.waiters:
            self._wake()

    def take_now(self) -> T | None:
        """Return the next message, None where none waits."""
        messages = self.messages
        while messages:
            expires, message = messages.popleft()
            if expires > time.time():
                return message
        self.is_behind = False
        return None

    async def take(self) -> T:
        """Return the next message. Cancelled, it has taken none."""
        while (message := self.take_now()) is None:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            try:
                if not self.messages:  # which another thread may have put before it could see the waiter
                    await waiter
            finally:
                if self.waiters and waiter in self.waiters:
                    self.waiters.remove(waiter)
                elif self.messages and self.waiters and waiter.cancelled():
                    self._wake()  # another one, for what this one was woken for
        return message

    def is_crowded(self) -> bool:
        """Whether more than half of it is full, and it may be worth while to wait for who receives."""
        return len(self.messages) * 2 > self.capacity and not self.is_behind

    def drop_expired(self) -> None:
        """Forget what nobody may receive any more."""
        now = time.time()
        while self.messages and self.messages[0][0] <= now:
            self.messages.popleft()

    def _wake(self) -> None:
        try:
            waiter = self.waiters.popleft()
        except IndexError:  # of another thread
            return
        loop = waiter.get_loop()
        if loop is asyncio._get_running_loop():
            if not waiter.done():
                waiter.set_result(None)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_settle, waiter)


class ConsumerQueues:
    """The queues and groups of one process.

    Args:
        group_expiry: seconds a channel stays in a group.
        get_capacity: how many messages may wait in a channel.

    Attributes:
        dropped: messages for which a channel had no room, where nobody could be told.
    """

    def __init__(self, group_expiry: float, get_capacity: Callable[[str], int]) -> None:
        self._group_expiry = group_expiry
        self._get_capacity = get_capacity
        self._queues: dict[str, ConsumerQueue[Envelope]] = {}
        self._groups: dict[str, dict[str, float]] = {}
        self._crowded: list[ConsumerQueue[Envelope]] = []
        self._next_look = time.monotonic() + LOOK_EVERY
        self._lines = LineRates(burst=1, per_second=0.1)
        self.dropped = 0

    def find(self, channel: str) -> ConsumerQueue[Envelope] | None:
        """Return the queue of a channel that was sent to or received from, unless it has been empty for long."""
        return self._queues.get(channel)

    def put(self, channel: str, envelope: Envelope) -> bool:
        """Add a message to a channel. Returns whether there was room."""
        self._look_for_abandoned()
        queue = self._open(channel)
        if not queue.put(envelope.expires, envelope):
            return False
        if queue.is_crowded():
            self._crowded.append(queue)
        return True

    def put_back(self, channel: str, envelope: Envelope) -> None:
        """Let a message that was taken be the next one again."""
        self._open(channel).put_back(envelope.expires, envelope)

    async def take(self, channel: str) -> Envelope:
        """Return the next message of a channel. Cancelled, it has taken none."""
        return await self._open(channel).take()

    def join(self, group: str, channel: str) -> None:
        """Let a channel be in a group."""
        self._groups.setdefault(group, {})[channel] = time.monotonic()

    def leave(self, group: str, channel: str) -> None:
        """Let a channel be in a group no more."""
        members = self._groups.get(group, {})
        members.pop(channel, None)
        if not members:
            self._groups.pop(group, None)

    def has_group(self, group: str) -> bool:
        """Whether a channel of this process is in a group."""
        return group in self._groups

    def fan_out(self, envelope: Envelope) -> Iterator[str]:
        """Give a message to the channels of its group, and yield those that have no process."""
        self._look_for_abandoned()
        expires, crowded = envelope.expires, self._crowded
        for channel in [*self._groups.get(envelope.group, ())]:
            if "!" not in channel:
                yield channel
                continue
            queue = self._open(channel)
            if not queue.put(expires, envelope):
                self.drop(channel)
            elif queue.is_crowded():
                crowded.append(queue)

    def drop(self, channel: str) -> None:
        """Count a message for which a channel has no room, and say which one it is."""
        self.dropped += 1
        if (unsaid := self._lines.take("full", time.monotonic())) is not None:
            log.warning("channel %s is full: a message for it is dropped, after %d unsaid", channel, unsaid)

    def is_crowded(self) -> bool:
        """Whether somebody who receives should come to it, before more is put."""
        return bool(self._crowded)

    async def make_room(self) -> None:
        """Let those receive whose queues are half full. A queue that is waited for in vain is not again until empty."""
        crowded, self._crowded = self._crowded, []
        began, turns = time.monotonic(), 0
        for queue in crowded:
            left, since = len(queue.messages), time.monotonic()
            while queue.is_crowded():
                await asyncio.sleep(0 if turns < QUICK_TURNS else PAUSE)
                turns, now = turns + 1, time.monotonic()
                if len(queue.messages) < left:
                    left, since = len(queue.messages), now
                if now > min(since + IDLE_PATIENCE, began + ROOM_PATIENCE):
                    queue.is_behind = True

    def clear(self) -> None:
        """Forget all of it; who waits goes on waiting."""
        self._groups.clear()
        for queue in self._queues.values():
            queue.messages.clear()

    def _open(self, channel: str) -> ConsumerQueue[Envelope]:
        queue = self._queues.get(channel)
        if queue is None:
            queue = self._queues[channel] = ConsumerQueue(self._get_capacity(channel))
        return queue

    def _look_for_abandoned(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_EVERY
        for channel, queue in [*self._queues.items()]:
            queue.drop_expired()
            if not (queue.messages or queue.waiters):
                self._queues.pop(channel, None)
        for group, members in [*self._groups.items()]:
            for channel in [each for each, joined in members.items() if joined + self._group_expiry < now]:
                self.leave(group, channel)


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
