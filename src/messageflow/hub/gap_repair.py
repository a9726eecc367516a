"""What the broker failed to deliver is read from the history, and the sessions notice nothing.

A channel is looked at when a publication came before one that was missed, and when the broker says that it may have
missed something. What the history gives joins what is pending, then what was held since, so that every live session
is sent each offset once and in order. Only when the history cannot give it, because it was too long ago or the stream
is another one now, are the sessions of the channel sent away, with a code that makes them come back and learn it.

Owns the order in which channels are looked at: `AT_ONCE` at a time, however many are in doubt. Never writes to a
session.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping

from messageflow.core.backoff import Backoff, pause_after
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.hub import history_reader
from messageflow.hub.channel import Channel
from messageflow.hub.fan_out import FanOut
from messageflow.hub.history_reader import HistoryReader
from messageflow.hub.runtime import Runtime

log = logging.getLogger("messageflow.hub")

AT_ONCE = 32
ATTEMPTS = 6  # to read what must be there, since something after it was delivered
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0  # seconds before the second, and at most; all take about 4 s


class GapRepair:
    """The channels of one hub that are not known to be whole.

    Args:
        runtime: tasks, log and counters.
        channels: those of this worker, by name.
        reader: gives what is missing.
        fan_out: delivers it.
    """

    def __init__(
        self, runtime: Runtime, channels: Mapping[str, Channel], reader: HistoryReader, fan_out: FanOut
    ) -> None:
        self._runtime = runtime
        self._channels = channels
        self._reader = reader
        self._fan_out = fan_out
        self._waiting: dict[Channel, asyncio.Future[None]] = {}
        self._under_way: dict[Channel, asyncio.Future[None]] = {}
        self._failures: dict[Channel, int] = {}  # how often the broker could not be asked about a channel
        self._workers = 0

    def report_gap(self, channel: Channel) -> None:
        """A publication came before one that was missed."""
        if channel not in self._waiting and channel not in self._under_way:
            self._runtime.counters.gaps += 1
            self._runtime.log_limited(logging.WARNING, "gap", channel=channel.name, sessions=len(channel.live))
            self.look_at(channel)

    def look_at_all(self) -> None:
        """The broker may have missed something anywhere."""
        channels = [channel for channel in self._channels.values() if channel.options.keeps_history]
        self._runtime.log_limited(logging.WARNING, "doubt", channels=len(channels))
        for channel in channels:
            if channel.top is None:
                channel.doubted = True  # its first reader is about to learn where it stands
            else:
                self.look_at(channel)

    def look_at(self, channel: Channel) -> asyncio.Future[None]:
        """Compare a channel with its history, soon, and deliver what is missing.

        Returns:
            What is done when all that was published until now is delivered, or the sessions were sent away.
        """
        waiting = self._waiting.get(channel)
        if waiting is None:
            waiting = self._waiting[channel] = asyncio.get_running_loop().create_future()
            self._begin()
        return waiting

    def _begin(self) -> None:
        if self._workers < AT_ONCE:
            self._workers += 1
            self._runtime.spawn(self._work())

    async def _work(self) -> None:
        try:
            while channel := self._next():
                done = self._under_way[channel] = self._waiting.pop(channel)
                answered = True
                try:
                    answered = await self._repair(channel)
                except Exception:
                    log.exception("healing_failed", extra={"channel": channel.name})
                    self.send_away(channel, "healing failed")
                finally:
                    del self._under_way[channel]
                    if answered:
                        self._failures.pop(channel, None)
                        done.set_result(None)
                    else:
                        self._runtime.spawn(self._look_later(channel, done))
                if answered and channel.holds and self._is_current(channel):
                    self.look_at(channel)
        finally:
            self._workers -= 1

    def _next(self) -> Channel | None:
        """Return the channel that waits longest and is not being looked at."""
        return next((channel for channel in self._waiting if channel not in self._under_way), None)

    async def _look_later(self, channel: Channel, done: asyncio.Future[None]) -> None:
        """The broker could not be asked about this channel: let others have the turn, and ask again after a pause.

        A channel in which nothing is known to be missing is looked at until the broker answers; one that holds back
        what came after a gap, only so often.
        """
        failures = self._failures[channel] = self._failures.get(channel, 0) + 1
        try:
            if failures < history_reader.ATTEMPTS or not channel.holds:
                pause = pause_after(failures, history_reader.FIRST_DELAY, history_reader.LONGEST_DELAY, random.random())
                await asyncio.sleep(pause)
                if self._is_current(channel):
                    self._wait_again(channel, done)
                    return
            elif self._is_current(channel):
                self.send_away(channel, "the history cannot be read")
        except asyncio.CancelledError:
            done.set_result(None)
            raise
        self._failures.pop(channel, None)
        done.set_result(None)

    def _wait_again(self, channel: Channel, done: asyncio.Future[None]) -> None:
        """Look again; `done` is done when that is, or what somebody else began to wait for meanwhile."""
        waiting = self._waiting.get(channel)
        if waiting is None:
            self._waiting[channel] = done
            self._begin()
        else:
            waiting.add_done_callback(lambda _: done.set_result(None))

    async def _repair(self, channel: Channel) -> bool:
        """Deliver what is missing. Returns whether the broker could be asked."""
        missed = 0
        backoff = Backoff(FIRST_DELAY, LONGEST_DELAY, random.random)
        while backoff.failures < ATTEMPTS and (top := channel.top) is not None and self._is_current(channel):
            try:
                history = await self._reader.read_since(channel, top, self._runtime.limits.history.history_limit)
            except Unrecoverable as error:
                self.send_away(channel, str(error))
                return True
            except BrokerError as error:
                self._runtime.log_limited(logging.WARNING, "read_failed", channel=channel.name, error=str(error))
                return False
            if channel.top is None or channel.top.epoch != top.epoch:
                continue
            missed += channel.repair(history.publications)
            if channel.dirty:
                self._fan_out.mark(channel)
            if channel.top.offset >= history.position.offset and not channel.holds:
                await self._finish(channel, channel.top.offset, missed)
                return True
            if channel.top != top:
                backoff.reset()
                await self._wait_for_room(channel)
            else:
                await asyncio.sleep(backoff.fail())
        if backoff.failures == ATTEMPTS and self._is_current(channel):
            self.send_away(channel, "the history does not give what was delivered after it")
        return True

    def _is_current(self, channel: Channel) -> bool:
        return self._channels.get(channel.name) is channel

    async def _finish(self, channel: Channel, until: int, missed: int) -> None:
        if missed:
            self._runtime.counters.healed += 1
            self._runtime.log_limited(logging.INFO, "healed", channel=channel.name, publications=missed)
        while channel.dirty and channel.position is not None and channel.position.offset < until:
            await self._fan_out.wait_for_turn()

    async def _wait_for_room(self, channel: Channel) -> None:
        """Wait until less is pending than one flush should join."""
        while channel.full:
            await self._fan_out.wait_for_turn()

    def send_away(self, channel: Channel, why: str) -> None:
        """The history does not lead on from where the sessions stand: they come back and learn what they can have."""
        self._runtime.counters.unhealed += 1
        self._runtime.log_limited(
            logging.ERROR, "unhealed", channel=channel.name, sessions=len(channel.live), reason=why
        )
        for session in tuple(channel.sessions):
            session.lose_position(channel.name)
        channel.forget_position()
