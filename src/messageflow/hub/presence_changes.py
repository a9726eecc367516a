"""Who comes and who goes, told to the broker in the order in which it happened.

A client may leave a channel and come back within one frame, and a broker may take its time with either. Two changes of
one (channel, client) that were under way together could end in any order: somebody present who is gone, or absent who
is there. So each waits for the one before it; changes of different clients or channels never wait for one another.

Owns the changes under way and the tasks of those that nobody waits for. Never decides who may come.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from messageflow.brokers.base import EntryInOne, PresenceStore
from messageflow.brokers.eager import Begun, Done, begin, resume, start_eagerly
from messageflow.core.client_info import ClientInfo
from messageflow.core.stream import Position
from messageflow.errors import BrokerError
from messageflow.hub.runtime import Runtime

T = TypeVar("T")
Key = tuple[str, str]  # channel and client


class PresenceChanges:
    """The changes of one hub.

    Args:
        runtime: owns the tasks.
        broker: is told.
    """

    def __init__(self, runtime: Runtime, broker: PresenceStore) -> None:
        self._runtime = runtime
        self._broker = broker
        self._in_one = broker if isinstance(broker, EntryInOne) else None
        self._last: dict[Key, asyncio.Future[None]] = {}  # the change that ends last of each that has any under way
        self._joining: Counter[str] = Counter()  # how often each client is being entered

    @property
    def under_way(self) -> int:
        """How many clients are coming or going in some channel."""
        return len(self._last)

    @property
    def enters_in_one(self) -> bool:
        """Whether the broker takes one question for a subscription and a join."""
        return self._in_one is not None

    def is_joining(self, client: str) -> bool:
        """Whether a client is being entered. To cut that off would leave unknown whether others were told of a join."""
        return client in self._joining

    def is_changing(self, channel: str, client: str) -> bool:
        """Whether a change is under way."""
        return (channel, client) in self._last

    async def wait_until_settled(self, channel: str, client: str) -> None:
        """Return once no change is under way."""
        while (last := self._last.get((channel, client))) is not None:
            await asyncio.wait([last])

    async def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        """Enter a client. Call it in a step in which no change is under way.

        Raises:
            BrokerError: the broker failed; whether the client was entered is not known.
        """
        joining = self.begin_join(channel, info, keep=keep, tell=tell)
        if joining is not None:
            await resume(*joining)

    def begin_join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> Begun | None:
        """Begin to `join`. Returns what is to be awaited, by `resume`.

        None where the client is in: in one step, as over a broker of this process, and nobody could see it under way.
        """
        joining = self._broker.join(channel, info, keep=keep, tell=tell)
        if type(joining) is Done:
            return None
        return begin(self._finish_join((channel, info.client), info, joining))

    def enter(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> Coroutine[Any, Any, Position | None]:
        """Return what joins, as `join` does, and has the broker deliver the channel; only where it `enters_in_one`.

        Its result is that of `brokers.base.Delivery.subscribe`.
        """
        assert self._in_one is not None
        entering = self._in_one.subscribe_and_join(channel, info, keep=keep, tell=tell)
        return self._finish_join((channel, info.client), info, entering)

    async def _finish_join(self, key: Key, info: ClientInfo, joining: Coroutine[Any, Any, T]) -> T:
        done = self._last[key] = asyncio.get_running_loop().create_future()
        self._joining[info.client] += 1
        try:
            return await joining
        finally:
            self._joining[info.client] -= 1
            if not self._joining[info.client]:
                del self._joining[info.client]
            self._forget(key, done)
            done.set_result(None)

    def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        """Take a client out, soon."""
        if (channel, info.client) not in self._last:
            try:
                leaving = self._broker.leave(channel, info, tell=tell)
            except BrokerError as error:
                self._note_failure((channel, info.client), error)
                return
            if type(leaving) is not Done:  # as it is over a broker of this process, at once (benchmarks: connect)
                self._begin((channel, info.client), leaving)
            return
        self._append((channel, info.client), partial(self._broker.leave, channel, info, tell=tell))

    def update(self, channel: str, info: ClientInfo) -> None:
        """Replace what is shown of a client that is in, soon."""
        self._append((channel, info.client), partial(self._broker.join, channel, info, keep=True, tell=False))

    def _append(self, key: Key, change: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Carry out a change behind those that are under way."""
        before = self._last.get(key)
        if before is not None:
            self._last[key] = self._spawn(self._carry_out(key, before, change))
            return
        try:
            work = change()
        except BrokerError as error:
            self._note_failure(key, error)
            return
        self._begin(key, work)

    def _begin(self, key: Key, work: Coroutine[Any, Any, None]) -> None:
        """Carry out a change that waits for none."""
        try:
            begun = begin(work)
        except BrokerError as error:
            self._note_failure(key, error)
            return
        if begun is None:  # over a broker of this process it takes one step: 10 µs less (benchmarks: connect)
            return
        task = start_eagerly(self._carry_out(key, None, partial(resume, *begun)), self._spawn)
        if task is not None:
            self._last[key] = task

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._runtime.spawn(work, name="presence")

    def _note_failure(self, key: Key, error: BrokerError) -> None:
        self._runtime.log_limited(logging.ERROR, "presence_not_changed", channel=key[0], error=str(error))

    async def _carry_out(
        self, key: Key, before: asyncio.Future[None] | None, change: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
            await change()
        except BrokerError as error:
            self._note_failure(key, error)
        finally:
            if key in self._last:
                self._forget(key, asyncio.current_task())

    def _forget(self, key: Key, change: asyncio.Future[None] | None) -> None:
        if self._last.get(key) is change:
            del self._last[key]
