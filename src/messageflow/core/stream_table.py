"""All streams of one broker within one memory budget.

Streams come into being with their first publication. Until then, and for every channel alike, a reader stands at
offset 0 of the epoch this life began with, so that nothing need be kept for a channel in which nothing happened.
Forgetting a stream's position would let its offsets begin again; whenever one is forgotten, streams that begin
afterwards do so in a new epoch, and a reader of the old one learns that it is gone.

Pure: time, epochs and budgets are arguments.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable

from messageflow.core.size_classes import SizeClasses
from messageflow.core.stream import Item, Position, Publication, Retention, Stream
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
        # By ttl, those that still keep something; the least recently published first.
        self._kept: defaultdict[float, OrderedDict[str, Stream]] = defaultdict(OrderedDict)
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

    def append(self, item: Item, now: float) -> tuple[str, Publication]:
        """Give an item the next offset of its channel. Returns the epoch and the publication."""
        channel = item.channel
        stream = self.retain(channel, item.retention)
        publication = stream.stage(item, now)
        self.commit(channel, stream, publication)
        return stream.epoch, publication

    def retain(self, channel: str, retention: Retention) -> Stream:
        """Return the stream of `channel`, with this retention from now on, for what is published in it.

        It begins where there is none, and of all there are it is the last that would be forgotten for another's sake.
        """
        stream = self._streams.get(channel)
        if stream is None:
            return self._begin(channel, retention)
        size, ttl = retention
        if stream.ttl != ttl or stream.size != size:
            self._unkeep(channel, stream)
            stream.size, stream.ttl = retention
        self._streams.move_to_end(channel)
        return stream

    def commit(self, channel: str, stream: Stream, publication: Publication) -> None:
        """Keep the next publication of the stream of `channel`, as it was staged or read from where it was stored."""
        before = stream.cost
        stream.commit(publication)
        after = stream.cost
        kept = self._kept[stream.ttl]
        kept[channel] = stream
        kept.move_to_end(channel)
        self.cost += after - before
        if after.bit_length() != before.bit_length():
            self._by_size.changed(stream, before)
        if self.cost > self._memory:
            self._make_room()

    def is_outdated(self, channel: str, version: Version) -> bool:
        """Whether `channel` has this version of its document or a later one, committed or not."""
        stream = self._streams.get(channel)
        return stream is not None and version.is_outdated(stream.version)

    def find_staged_position(self, channel: str) -> Position:
        """Return the point after the newest publication of `channel`, committed or not."""
        stream = self._streams.get(channel)
        return self.position(channel) if stream is None else stream.staged_position

    def set_version(self, channel: str, version: Version) -> None:
        """Say which version of its document `channel` has."""
        stream = self._streams.get(channel)
        if stream is not None:
            stream.version = version

    def restore(self, channel: str, position: Position, retention: Retention) -> None:
        """Begin a stream at the position below what was stored of it; `commit` the rest, in order."""
        stream = self._streams[channel] = Stream(position.epoch, size=retention.size, ttl=retention.ttl)
        stream.begin_at(position.offset, position.tag)

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
        while len(self._streams) >= self._limit:
            oldest, stream = next(iter(self._streams.items()))
            if stream.is_staged:  # and so is every other: better one more for the time than one less
                break
            self._forget(oldest, stream)
        stream = self._streams[channel] = Stream(self.epoch, size=retention.size, ttl=retention.ttl)
        return stream

    def _forget(self, channel: str, stream: Stream) -> None:
        del self._streams[channel]
        self._unkeep(channel, stream)
        before = stream.cost
        stream.clear()
        self._note_change(stream, before)
        self.forgotten += 1
        self.epoch = self._new_epoch()
        if self._on_forgotten is not None:
            self._on_forgotten(channel)

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
