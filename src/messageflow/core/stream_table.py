"""All streams of one broker within one memory budget.

Streams come into being with their first publication. Until then, and for every channel alike, a reader stands at
offset 0 of the epoch this life began with, so that nothing need be kept for a channel in which nothing happened.
Forgetting a stream's position would let its offsets begin again; whenever one is forgotten, streams that begin
afterwards do so in a new epoch, and a reader of the old one learns that it is gone.

Pure: time, epochs and budgets are arguments.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from messageflow.core.size_classes import SizeClasses
from messageflow.core.stream import Position, Publication, Retention, Stream
from messageflow.core.versions import Version

ROOM = 256  # the part of the budget that is made free at once, so that no publish waits long for it


class StreamTable:
    """The streams by channel.

    Args:
        new_epoch: makes the name of an epoch, unique for all time.
        memory: bytes that all kept publications together may take; beyond it the largest streams lose their oldest
            half, which a reader so far behind learns as an unrecoverable position.
        limit: how many streams are remembered, kept publications or not.
        on_forgotten: told the channel whose position was given up for another's.
    """

    def __init__(
        self,
        new_epoch: Callable[[], str],
        *,
        memory: int,
        limit: int = 1_000_000,
        on_forgotten: Callable[[str], None] | None = None,
    ) -> None:
        self._on_forgotten = on_forgotten
        self._new_epoch = new_epoch
        self._memory = memory
        self._limit = limit
        self._streams: OrderedDict[str, Stream] = OrderedDict()  # least recently published first
        self._by_size = SizeClasses()
        self._kept: dict[float, OrderedDict[str, Stream]] = {}  # by ttl, those that still keep something
        self.epoch = new_epoch()  # of streams that are yet to begin
        self._beginning = Position(self.epoch, 0)
        self.cost = 0  # bytes
        self.evicted = 0  # publications dropped for the memory budget, before their time
        self.forgotten = 0  # streams whose position was given up

    def __len__(self) -> int:
        return len(self._streams)

    def get(self, channel: str) -> Stream | None:
        return self._streams.get(channel)

    def position(self, channel: str) -> Position:
        """The point after the newest publication of `channel`."""
        stream = self._streams.get(channel)
        if stream is not None:
            return stream.position
        if self._beginning.epoch != self.epoch:
            self._beginning = Position(self.epoch, 0)
        return self._beginning  # one for all who stand there: 80 bytes less for each (benchmarks: memory)

    def append(
        self,
        channel: str,
        data: bytes,
        retention: Retention,
        now: float,
        *,
        info: bytes = b"",
        tags: bytes = b"",
        exclude: str = "",
        flags: int = 0,
    ) -> tuple[str, Publication]:
        """Give `data` the next offset of `channel`. Returns the epoch and the publication."""
        stream = self._retain(channel, retention)
        before = stream.cost
        publication = stream.append(data, now, info=info, tags=tags, exclude=exclude, flags=flags)
        self._note_growth(channel, stream, before)
        return stream.epoch, publication

    def stage(
        self,
        channel: str,
        data: bytes,
        retention: Retention,
        now: float,
        *,
        info: bytes = b"",
        tags: bytes = b"",
        exclude: str = "",
        flags: int = 0,
    ) -> tuple[str, Publication]:
        """As `append`, but unseen until it is committed."""
        stream = self._streams.get(channel)
        if stream is None or stream.ttl != retention.ttl or stream.size != retention.size:
            stream = self._retain(channel, retention)
        self._streams.move_to_end(channel)  # what is under way is not forgotten for another's sake
        return stream.epoch, stream.stage(data, now, info=info, tags=tags, exclude=exclude, flags=flags)

    def commit(self, channel: str, epoch: str, publication: Publication) -> None:
        """Keep what was staged. A stream that was forgotten meanwhile keeps nothing."""
        stream = self._streams.get(channel)
        if stream is None or stream.epoch != epoch:
            return
        before = stream.cost
        stream.commit(publication)
        self._note_growth(channel, stream, before, in_order=True)  # since it was staged

    def rollback(self, channel: str) -> None:
        """Give up what was staged in `channel` and not committed."""
        stream = self._streams.get(channel)
        if stream is not None:
            stream.rollback()

    def is_outdated(self, channel: str, version: Version) -> bool:
        """Whether `channel` has this version of its document or a later one, committed or not."""
        stream = self._streams.get(channel)
        return stream is not None and version.is_outdated(stream.version)

    def find_staged_position(self, channel: str) -> Position:
        """Return the point after the newest publication of `channel`, committed or not."""
        stream = self._streams.get(channel)
        return self.position(channel) if stream is None else stream.staged_position

    def set_version(self, channel: str, version: Version | None) -> Version | None:
        """Say which version of its document `channel` has, and return which it had."""
        stream = self._streams.get(channel)
        if stream is None:
            return None
        before, stream.version = stream.version, version
        return before

    def restore(self, channel: str, position: Position, retention: Retention) -> None:
        """Begin a stream at the position below what was stored of it; `take` the rest, in order."""
        stream = self._streams[channel] = Stream(position.epoch, size=retention.size, ttl=retention.ttl)
        stream.begin_at(position.offset, position.tag)

    def take(self, channel: str, retention: Retention, publication: Publication) -> None:
        """Keep the next publication of a stream that was stored elsewhere."""
        stream = self._retain(channel, retention)
        before = stream.cost
        stream.commit(publication)
        self._note_growth(channel, stream, before)

    def _retain(self, channel: str, retention: Retention) -> Stream:
        """Return the stream of `channel`, with this retention from now on."""
        stream = self._streams.get(channel)
        if stream is None:
            return self._begin(channel, retention)
        if stream.ttl != retention.ttl or stream.size != retention.size:
            self._unkeep(channel, stream)
            stream.size, stream.ttl = retention
        return stream

    def _note_growth(self, channel: str, stream: Stream, before: int, *, in_order: bool = False) -> None:
        """Keep the books after a stream has taken a publication; it cost `before` until then."""
        if not in_order:
            self._streams.move_to_end(channel)
        kept = self._kept.get(stream.ttl)
        if kept is None:
            kept = self._kept[stream.ttl] = OrderedDict()
        kept[channel] = stream
        kept.move_to_end(channel)
        after = stream.cost
        self.cost += after - before
        if after.bit_length() != before.bit_length():
            self._by_size.changed(stream, before)
        if self.cost > self._memory:
            self._make_room()

    def _note_change(self, stream: Stream, before: int) -> None:
        self.cost += stream.cost - before
        self._by_size.changed(stream, before)

    def read_since(
        self, channel: str, position: Position, now: float, limit: int | None = None
    ) -> list[Publication] | None:
        """As `Stream.read_since`: what `channel` published after `position`, or None."""
        stream = self._streams.get(channel)
        if stream is None:
            return [] if position.epoch == self.epoch and position.offset == 0 else None
        self._expire(stream, now)
        return stream.read_since(position, limit)

    def read_page(
        self, channel: str, offset: int | None, limit: int, now: float, *, reverse: bool
    ) -> list[Publication]:
        """As `Stream.read_page`."""
        stream = self._streams.get(channel)
        if stream is None:
            return []
        self._expire(stream, now)
        return stream.read_page(offset, limit, reverse=reverse)

    def remove(self, channel: str) -> None:
        """Drop what `channel` keeps; its offsets go on."""
        stream = self._streams.get(channel)
        if stream is not None:
            before = stream.cost
            stream.clear()
            self._note_change(stream, before)

    def sweep(self, now: float) -> None:
        """Drop what is too old in channels that nobody publishes in. Call it every second or so."""
        for ttl, kept in self._kept.items():
            while kept:
                channel, stream = next(iter(kept.items()))
                newest = stream.newest
                if newest is not None and newest.time > now - ttl:
                    break
                self._expire(stream, now)
                del kept[channel]

    def _begin(self, channel: str, retention: Retention) -> Stream:
        if len(self._streams) >= self._limit:
            oldest, stream = self._streams.popitem(last=False)
            self._unkeep(oldest, stream)
            before = stream.cost
            stream.clear()
            self._note_change(stream, before)
            self.forgotten += 1
            self.epoch = self._new_epoch()
            if self._on_forgotten is not None:
                self._on_forgotten(oldest)
        stream = self._streams[channel] = Stream(self.epoch, size=retention.size, ttl=retention.ttl)
        return stream

    def _unkeep(self, channel: str, stream: Stream) -> None:
        kept = self._kept.get(stream.ttl)
        if kept is not None:
            kept.pop(channel, None)

    def _expire(self, stream: Stream, now: float) -> None:
        before = stream.cost
        stream.expire(now)
        self._note_change(stream, before)

    def _make_room(self) -> None:
        """Let the largest streams lose their oldest halves, no more at once than is needed now."""
        room = self._memory - self._memory // ROOM
        while self.cost > room and (largest := self._by_size.largest()) is not None:
            before = largest.cost
            while largest.cost > before // 2 and self.cost - before + largest.cost > room:
                largest.evict()
                self.evicted += 1
            self._note_change(largest, before)
