"""One publication as it lies on disk, and the proof that it is what was written.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from messageflow.core.stream import Position, Publication, Retention, Stream, chain


class Row(NamedTuple):
    """A publication in the log.

    `id` is its place in the log, rising over all channels. `ttl` and `size` are the retention it was published with.
    `check` is the CRC-32 of the publication, but for `exclude` and `flags`, so that earlier
    versions read it too.
    """

    id: int
    channel: str
    epoch: str
    offset: int
    tag: str
    time: float
    ttl: float
    size: int
    data: bytes
    info: bytes
    tags: bytes
    key: str
    check: int
    exclude: str = ""
    flags: int = 0

    @property
    def publication(self) -> Publication:
        return Publication(self.offset, self.tag, self.time, self.data, self.info, self.tags, self.exclude, self.flags)

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.offset, self.tag)

    @property
    def retention(self) -> Retention:
        return Retention(self.size, self.ttl)

    @property
    def is_sound(self) -> bool:
        """Whether it reads as it was written."""
        return self.check == checksum(self.channel, self.key, self.publication, self.retention)


RowValue = int | float | str | bytearray
Likeness = tuple[str, float, int, int, int]  # what rows share: `SHARED`, and how many values each has of its own
Rows = dict[Likeness, list[RowValue]]  # of those that are alike, each one's own values, one row after the other
Entry = tuple[int, str, Stream, Publication, Retention, str]  # id, channel and its stream, what, for how long, its key
VersionEntry = tuple[str, str, int, str]  # channel and epoch of a stream, number and epoch of its document's version
COLUMNS = ", ".join(Row._fields)
SHARED = ("epoch", "ttl", "size", "flags")  # by all rows of as good as any batch
OWN = ("id", "channel", "offset", "tag", "time", "data", "key", "check", "info", "tags", "exclude")
PLAIN, FULL = 8, 11  # values of a row's own: without info, tags and exclude, which most have none of, and with them
_NUMBERS = Struct("<qddq")


def make_rows(entries: Iterable[Entry]) -> Rows:
    """Return the rows of publications, those that are alike together: of each what of `OWN` it has.

    One pass for all, with `checksum` in it. Bytes go as a `bytearray`, which `sqlite3` binds as it is: for each `bytes`
    it looks for an adapter, a tenth of the instructions of a push (benchmarks: push).
    """
    rows: Rows = {}
    pack = _NUMBERS.pack
    for number, channel, stream, publication, retention, key in entries:
        offset, time, data = publication.offset, publication.time, publication.data
        info, tags, exclude = publication.info, publication.tags, publication.exclude
        size, ttl = retention
        numbers = pack(offset, time, ttl, size)
        check = crc32(b"\n".join((channel.encode(), key.encode(), data, info, tags, numbers)))
        width = FULL if info or tags or exclude else PLAIN
        likeness = (stream.epoch, ttl, size, publication.flags, width)
        values = rows.get(likeness)
        if values is None:
            values = rows[likeness] = []
        values += (number, channel, offset, publication.tag, time, bytearray(data), key, check)
        if width == FULL:
            values += (bytearray(info), bytearray(tags), exclude)
    return rows


def checksum(channel: str, key: str, publication: Publication, retention: Retention) -> int:
    """Return the CRC-32 of what belongs to one publication alone; that it is the next its tag proves."""
    numbers = _NUMBERS.pack(publication.offset, publication.time, retention.ttl, retention.size)
    parts = (channel.encode(), key.encode(), publication.data, publication.info, publication.tags, numbers)
    return crc32(b"\n".join(parts))


def follows(missed: Sequence[Publication], position: Position, end: int) -> bool:
    """Whether publications read from the log are all that follow a position, up to `end`."""
    if len(missed) != end - position.offset:
        return False
    before = position.offset, position.tag
    for publication in missed:
        offset, tag = before
        if publication.offset != offset + 1 or (tag and publication.tag != chain(tag, publication.data)):
            return False
        before = publication.offset, publication.tag
    return True
