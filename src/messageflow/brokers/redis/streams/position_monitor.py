"""The monitor of positions: where this node has seen its channels, compared with where Redis says they stand.

So it finds what this node missed, and what Redis lost. Owns one task of the broker's, and one for each stream in
question; never delivers anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from messageflow.brokers.redis.messages import Garbage, chain_tag
from messageflow.brokers.redis.streams.stream_store import RedisStreamStore
from messageflow.core.stream import Position, Publication
from messageflow.errors import BrokerError, Unrecoverable

log = logging.getLogger("messageflow.broker")

CHECK_EVERY = 5.0  # seconds between two looks, at least
CHECK_SLICE = 512  # positions asked for at once
MOST_PAST = 20_000  # channels whose position is kept after their last subscriber: 4 MB
MOST_ENDED = 8  # epochs remembered of one channel that lost something
CHECKS_A_SECOND = 5_000  # channels; with very many, each is looked at less often


class PositionMonitor:
    """The subscribed channels and where they stand.

    Args:
        store: where to ask.
        doubt: called when something was missed, or lost by Redis: every position is to be checked.
        stir: called when anything was acknowledged, announced or read.

    Attributes:
        lost_tails: how often a stream had lost what this node had seen of it.
    """

    def __init__(self, store: RedisStreamStore, doubt: Callable[[], None], stir: Callable[[], None]) -> None:
        self._store = store
        self._doubt = doubt
        self._stir = stir
        self._seen: dict[str, Position | None] = {}
        self._past: OrderedDict[str, Position] = OrderedDict()  # where channels stood, subscribed or not
        self._aside: dict[str, Position] = {}  # where they stood when Redis was lost; to be judged when it is back
        self._ended: OrderedDict[str, tuple[str, ...]] = OrderedDict()  # epochs that will not come again rightly
        self._reviewing: asyncio.Task[None] | None = None
        self._judging: dict[str, asyncio.Task[None]] = {}
        self.lost_tails = 0

    def add(self, channel: str) -> None:
        """Watch a channel that is subscribed to; where it stands is not known."""
        self._seen[channel] = None

    def remove(self, channel: str) -> bool:
        """Watch it no longer. Returns whether it was watched."""
        if channel not in self._seen:
            return False
        seen = self._seen.pop(channel)
        if seen is not None:
            self.note_receipt(channel, seen)
        return True

    def note_receipt(self, channel: str, position: Position) -> None:
        """Note where Redis said that a channel stands, for Redis may lose that."""
        if not position.offset:
            return
        self._stir()
        before = self._past.pop(channel, None)
        if before is not None and before.epoch == position.epoch and before.offset >= position.offset:
            if before.offset == position.offset and before.tag != position.tag:
                self._judge_soon(channel, before)
            position = before  # a lower one says nothing: a key came again, or receipts out of turn
        self._past[channel] = position
        if len(self._past) > MOST_PAST:
            self._past.popitem(last=False)

    def note_announcement(self, channel: str, epoch: str, publication: Publication) -> bool:
        """Note a publication. Returns whether to deliver it: it follows what was seen, or comes after a gap.

        A stream that lost its end and gave its offsets out again shows here at once: an offset that was there before,
        or a tag that does not follow from the one before.
        """
        if channel not in self._seen or not publication.offset:
            return True
        self._stir()
        seen = self._seen[channel]
        if seen is not None and seen.epoch == epoch and not _follows(seen, publication):
            self._judge_soon(channel, seen, dropped=True)
            return False
        self._seen[channel] = Position(epoch, publication.offset, publication.tag)
        return True

    def _judge_soon(self, channel: str, known: Position, *, dropped: bool = False) -> None:
        """Have a stream judged; `dropped` says that a publication was not delivered for it."""
        if channel not in self._judging:
            self._judging[channel] = asyncio.get_running_loop().create_task(self._judge(channel, known, dropped))

    async def _judge(self, channel: str, known: Position, dropped: bool) -> None:
        try:
            dropped = await self._forget(channel, known) or dropped
        except BrokerError as error:
            self._aside.setdefault(channel, known)
            log.warning("stream_not_judged", extra={"channel": channel, "error": str(error)})
        finally:
            del self._judging[channel]
            if dropped:
                self._doubt()

    async def compare(self, channel: str, top: Position) -> None:
        """Find out a stream that lost its end, now that it was read.

        Raises:
            Unrecoverable: it did; it goes on in a new epoch.
        """
        self._stir()
        seen = self._seen.get(channel)
        for known in (seen, self._past.get(channel)):
            if known is not None and _is_below(top, known) and await self._forget(channel, known):
                raise Unrecoverable(f"the stream of {channel!r} lost its end")
        if seen is None and channel in self._seen:
            self._seen[channel] = top

    async def _forget(self, channel: str, seen: Position) -> bool:
        lost = await self._store.forget(channel, seen)
        if lost:
            self.lost_tails += 1
            if self._seen.get(channel) == seen:
                self._seen[channel] = None
            self._past.pop(channel, None)
            self._note_end(channel, seen.epoch)
            log.error("lost_tail", extra={"channel": channel, "epoch": seen.epoch, "seen": seen.offset})
        return lost

    async def run(self) -> None:
        """Compare until cancelled. A channel that is elsewhere in two looks running is a doubt."""
        before: dict[str, Position] = {}
        while True:
            await asyncio.sleep(CHECK_EVERY)
            try:
                before = await self._look(before)
            except (BrokerError, Garbage) as error:
                log.warning("positions_not_checked", extra={"error": str(error)})

    async def _look(self, before: dict[str, Position]) -> dict[str, Position]:
        """Compare all channels. Returns those that Redis has elsewhere, with where they were seen."""
        different: dict[str, Position] = {}
        known = [channel for channel, seen in self._seen.items() if seen is not None]
        missed = False
        for start in range(0, len(known), CHECK_SLICE):
            part = known[start : start + CHECK_SLICE]
            for channel, position in zip(part, await self._store.read_positions(part), strict=True):
                seen = self._seen.get(channel)
                if seen is None or position == seen or isinstance(position, BrokerError):
                    continue
                different[channel] = seen
                try:
                    if position is not None:
                        await self.compare(channel, position)
                except Unrecoverable:
                    missed = True
                if before.get(channel) == seen:
                    missed = True
                    self._seen[channel] = position  # the doubt makes the hub read at least this far
            if len(known) > CHECK_SLICE:
                await asyncio.sleep(CHECK_SLICE / CHECKS_A_SECOND)
        if missed:
            self._doubt()
        return different

    def set_aside(self) -> None:
        """Redis was lost, and may come back with less: what is known now is judged then, whatever comes meanwhile."""
        known = dict(self._past)
        for channel, seen in self._seen.items():
            past = known.get(channel)
            if seen is not None and (past is None or past.epoch != seen.epoch or past.offset < seen.offset):
                known[channel] = seen  # else a receipt was here before its announcement
        self._aside = known | self._aside

    def review(self) -> None:
        """Redis is back: judge what was set aside, and only then doubt."""
        if self._reviewing is None:
            self._reviewing = asyncio.get_running_loop().create_task(self._review())

    async def wait_for_review(self) -> None:
        """Return once what is being judged is judged."""
        if self._reviewing is not None:
            await asyncio.wait([self._reviewing])

    async def _review(self) -> None:
        try:
            aside = list({**dict.fromkeys(self._ended), **self._aside}.items())
            for start in range(0, len(aside), CHECK_SLICE):
                part = dict(aside[start : start + CHECK_SLICE])
                for channel, top in zip(part, await self._store.read_positions(list(part)), strict=True):
                    known = part[channel]
                    if isinstance(top, BrokerError):
                        continue  # its server is still away
                    if top is not None:
                        await self._judge_again(channel, known, top)
                    if known is not None and self._aside.get(channel) == known:
                        del self._aside[channel]
        except (BrokerError, Garbage) as error:  # it is gone again, and will be reviewed when it is back again
            log.warning("streams_not_judged", extra={"channels": len(self._aside), "error": str(error)})
        finally:
            self._reviewing = None
            self._doubt()

    async def _judge_again(self, channel: str, known: Position | None, top: Position) -> None:
        """Judge a stream by what was known of it before Redis was lost, and by the epochs that it had left by then.

        Redis may come back from the same older file twice: then a stream is again in an epoch that it had to leave.
        """
        if top.epoch in self._ended.get(channel, ()):
            await self._forget(channel, Position(top.epoch, top.offset + 1, ""))
        elif known is not None and top.epoch == known.epoch:
            if top != known:
                await self._forget(channel, known)
        elif known is not None:
            self._note_end(channel, known.epoch)

    def _note_end(self, channel: str, epoch: str) -> None:
        before = self._ended.pop(channel, ())
        self._ended[channel] = (*(each for each in before if each != epoch), epoch)[-MOST_ENDED:]
        if len(self._ended) > MOST_PAST:
            self._ended.popitem(last=False)

    async def judge_refusal(self, channel: str, top: Position) -> None:
        """Judge a position that is not in this stream: the client that has it may be wrong, or the stream is.

        Raises:
            Unrecoverable: the stream is; it goes on in a new epoch.
        """
        for known in (self._seen.get(channel), self._past.get(channel)):
            if known is not None and known != top and known.epoch == top.epoch and await self._forget(channel, known):
                raise Unrecoverable(f"the stream of {channel!r} lost its end")

    async def close(self) -> None:
        """End what is under way."""
        tasks = [*self._judging.values(), *([self._reviewing] if self._reviewing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _follows(seen: Position, publication: Publication) -> bool:
    """Whether a publication can come after what was seen; after a gap that cannot be told."""
    if publication.offset <= seen.offset:
        return False
    return publication.offset > seen.offset + 1 or chain_tag(seen.tag, publication.data) == publication.tag


def _is_below(top: Position, seen: Position) -> bool:
    """Whether a stream stands below what was seen of it, or elsewhere."""
    if top.epoch != seen.epoch:
        return False
    return top.offset < seen.offset or (top.offset == seen.offset and top.tag != seen.tag)
