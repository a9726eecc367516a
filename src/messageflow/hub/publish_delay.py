"""Publishing into a channel whose readers as a crowd are behind: it is answered later, so that they can keep up.

When a worker has time to publish more than its readers have time to read, the difference only waits in memory, and in
the end everybody falls out of what is kept. So while most of a large crowd is behind, a publish into that channel
waits, up to `LONGEST`, before it is stored, until nearly all have caught up; publishers that wait for their receipts
come to the pace of the readers. What waits in their kernels counts too, see `hub.reader_probes`.
A few slow readers, or a channel with few, hold up nobody: they go on from the backlog and the history
(`hub.lagging_sessions`).

Owns nothing; backlogs know who stands where, and probes who has read how much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Mapping, Sequence
from typing import Any

from messageflow.core.stream import Item
from messageflow.hub.backlog import Backlogs
from messageflow.hub.channel import Channel
from messageflow.hub.reader_probes import ReadProbes
from messageflow.hub.runtime import Runtime

CROWD = 100  # readers that are behind, below which nobody is held up for them
BEHIND = 0.1  # seconds that a crowd may be behind on average
LONGEST = 1.0  # seconds that one publish may wait
LOOK_EVERY = 0.01  # seconds


class PublishDelay:
    """Which channels of one hub are published in faster than they are read.

    Args:
        runtime: clock and counters.
        channels: those of this worker, by name.
        backlogs: of all channels in which anybody is behind.
        read_probes: of all channels with a crowd.
    """

    def __init__(
        self, runtime: Runtime, channels: Mapping[str, Channel], backlogs: Backlogs, read_probes: ReadProbes
    ) -> None:
        self._runtime = runtime
        self._most = runtime.limits.readers_behind
        self._read_probes = read_probes
        self._channels = channels
        self._behind, self._crowds = backlogs.open, read_probes.crowds  # asked at each publish
        self._congested: dict[Channel, bool] = {}  # as it was when last looked at
        self._looked: set[Channel] = set()  # since `_looked_at`
        self._looked_at = 0.0

    def wait(self, items: Sequence[Item]) -> Awaitable[None] | None:
        """Return what to wait for before these are stored, None when nobody needs it."""
        if not self._behind and not self._crowds:
            return None
        if not self._most or not any(self._look_at(item.channel) for item in items):
            return None
        return _HoldUp(self, items)

    async def hold_up(self, items: Sequence[Item]) -> None:
        """Return once none of these channels is congested, or they have waited long enough."""
        self._runtime.counters.publishes_delayed += 1
        clock = self._runtime.clock
        until = clock() + LONGEST
        while clock() < until and any(self._look_at(item.channel) for item in items):  # noqa: ASYNC110 - below
            # Readers that catch up must not each look whether they were the last: they are many, publishers few.
            await asyncio.sleep(LOOK_EVERY)

    def _look_at(self, name: str) -> bool:
        channel = self._channels.get(name)
        if channel is None or (channel.backlog is None and channel.sample is None):
            return False
        now = self._runtime.clock()
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            self._congested = {each: it for each, it in self._congested.items() if it and each in self._looked}
            self._looked.clear()
        if channel not in self._looked:
            self._looked.add(channel)
            before = self._congested.get(channel, False)
            congested = _is_behind(channel, before) or self._has_much_to_read(channel, before)
            self._congested[channel] = congested
            if congested:
                self._read_probes.ask_again(channel)
        return self._congested[channel]

    def _has_much_to_read(self, channel: Channel, before: bool) -> bool:
        most = self._most / 2 if before else self._most
        return self._read_probes.measure_wait(channel) > most


class _HoldUp:
    """What a publish waits for; who does not wait for it owes it nothing, unlike a coroutine."""

    def __init__(self, publish_delay: PublishDelay, items: Sequence[Item]) -> None:
        self._publish_delay = publish_delay
        self._items = items

    def __await__(self) -> Generator[Any, Any, None]:
        return self._publish_delay.hold_up(self._items).__await__()


def _is_behind(channel: Channel, before: bool) -> bool:
    """Whether most of a crowd is behind, or, if it was `before`, whether a tenth still is."""
    backlog = channel.backlog
    if backlog is None or len(channel.lagging) < CROWD // 10:
        return False
    taking, total = backlog.list_taking(), len(channel.live) + len(channel.lagging)
    if before:
        return len(taking) >= max(CROWD // 10, total // 10)
    if len(taking) < max(CROWD, total // 2):
        return False
    return backlog.measure_wait(sum(taking) // len(taking)) > BEHIND
