"""Publishing into a channel whose readers as a crowd are behind: it is answered later, so that they can keep up.

When a worker has time to publish more than its readers have time to read, the difference only waits in memory, and in
the end everybody falls out of what is kept. So a crowd is published to only as far ahead of it as it has room: while
there is none, a publish into that channel waits, up to `LONGEST`, before it is stored, in line with the others, and a
batch goes in such parts as there is room for. Publishers that wait for their receipts come to the pace of the readers.
What waits in their kernels counts too, see `hub.reader_probes`. A few slow readers, or a channel with few, hold up
nobody: they go on from the backlog and the history (`hub.lagging_sessions`).

Owns who waits, and how much room was found; backlogs know who stands where, and probes who has read how much.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from messageflow.core.stream import Item
from messageflow.hub.backlog import Backlogs
from messageflow.hub.channel import Channel
from messageflow.hub.reader_probes import ReadProbes
from messageflow.hub.runtime import Runtime

CROWD = 100  # readers that are behind, below which nobody is held up for them
BEHIND = 0.1  # seconds that a crowd may be behind on average
LONGEST = 3.0  # seconds that one publish may wait, a batch too: less than `Flow` waits for its answer
LOOK_EVERY = 0.01  # seconds
ENVELOPE = 88  # bytes that are written around what is published
STEP = 65_536  # bytes for which those who waited are let go at a look, so that no flush fills every buffer at once


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
        self._rooms: dict[Channel, float] = {}  # bytes that may still be published, since `_looked_at`
        self._full: set[Channel] = set()  # those that were found without room, since `_looked_at`
        self._full_before: set[Channel] = set()
        self._looked_at = 0.0
        self._line: deque[_Waiting] = deque()

    def wait(self, items: Sequence[Item]) -> AsyncIterator[Sequence[Item]] | None:
        """Return in what parts these are to be stored, each once it comes, None where all can be now."""
        if not self._most or not (self._behind or self._crowds):
            return None
        count = self._take(items)
        return None if count == len(items) else self._let_through(items, count)

    async def _let_through(self, items: Sequence[Item], count: int) -> AsyncIterator[Sequence[Item]]:
        """Yield what there is room for once there is, and all that is left once it has waited long enough."""
        self._runtime.counters.publishes_delayed += 1
        until = self._runtime.clock() + LONGEST
        while items:
            count = count or await self._stand_in_line(items, until)
            yield items[:count]
            items = items[count:]
            count = self._take(items)

    def _stand_in_line(self, items: Sequence[Item], until: float) -> asyncio.Future[int]:
        loop = asyncio.get_running_loop()
        if not self._line:
            loop.call_later(LOOK_EVERY, self._look, loop)
        waiting = _Waiting(items, until, loop.create_future())
        self._line.append(waiting)
        return waiting.go

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let those go for whom there is room, first come first, and those who have waited long enough."""
        # Readers that catch up must not each look whether they were the last: they are many, publishers few.
        line, self._line = self._line, deque()
        now = self._runtime.clock()
        self._begin_look(now)
        for waiting in line:
            if waiting.go.done():  # whoever published has gone
                continue
            count = self._take(waiting.items) if now < waiting.until else len(waiting.items)
            if count:
                waiting.go.set_result(count)
            else:
                self._line.append(waiting)
        if self._line:
            loop.call_later(LOOK_EVERY, self._look, loop)

    def _begin_look(self, now: float) -> None:
        self._looked_at = now
        self._full_before, self._full = self._full, set()
        self._rooms.clear()

    def _take(self, items: Sequence[Item]) -> int:
        """Take the room that these need, in order, as far as there is any. Returns for how many there was."""
        channels, crowds, may_look = self._channels, self._crowds, not self._line
        for count, item in enumerate(items):
            channel = channels.get(item.channel)
            if channel is None or (channel not in crowds and channel.backlog is None):
                continue
            if may_look:
                may_look, now = False, self._runtime.clock()
                if now - self._looked_at >= LOOK_EVERY:
                    self._begin_look(now)
            room = self._rooms.get(channel)
            if room is None:
                room = self._find_room(channel)
            if room <= 0:
                return count
            self._rooms[channel] = room - len(item.data) - len(item.info) - ENVELOPE
        return len(items)

    def _find_room(self, channel: Channel) -> float:
        before = channel in self._full_before
        room = self._read_probes.measure_room(channel, self._most / 2 if before else self._most)
        room = 0.0 if _is_behind(channel, before) else room - channel.pending_bytes
        if room <= 0:
            self._full.add(channel)
            self._read_probes.ask_again(channel)
        elif before:
            room = min(room, STEP)
        self._rooms[channel] = room
        return room


class _Waiting(NamedTuple):
    """A publish that waits, and for how many of its items there is room once there is."""

    items: Sequence[Item]
    until: float
    go: asyncio.Future[int]


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
