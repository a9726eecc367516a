"""Streams that lost their end and gave its offsets out again, in runs in which a failover may do that to them.

At such an offset lies one thing for some and another for others, and what was acknowledged there first may be lost.
That is allowed as long as everybody who had the first is told soon that he may have missed something. That a stream
went back shows by two tags at one offset; or, where nobody saw both, by an offset that a publication was given although
the stream had been seen there, or further on, before anybody asked for that publication. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.faults.history import Position
from tests.faults.readers import Reader, Span
from tests.faults.verdicts import Findings

TOLD_SECONDS = 30.0
"""Seconds within which a reader is told, other faults that act on it meanwhile included."""


@dataclass(slots=True)
class Tear:
    """When it was first seen that a stream had two continuations, and the tags at each offset, oldest first.

    `back` is the lowest offset that was given out when the stream had been further.
    """

    at: int
    tags: dict[int, list[str]] = field(default_factory=dict)
    back: int | None = None


class Torn:
    """The torn streams of one history, by channel and epoch."""

    def __init__(self) -> None:
        self._tears: dict[tuple[str, str], Tear] = {}
        self._tops: dict[tuple[str, str], list[tuple[int, int]]] = {}  # how far streams were seen to reach, and when

    def see(self, channel: str, at: Position, when: int) -> None:
        """Somebody saw that a stream reaches there. To be called in the order of time."""
        tops = self._tops.setdefault((channel, at.epoch), [])
        if not tops or at.offset > tops[-1][1]:
            tops.append((when, at.offset))

    def give(self, channel: str, at: Position, invoked: int, when: int) -> None:
        """A place was given to a publication that nobody had asked for before `invoked`."""
        tops = self._tops.get((channel, at.epoch), [])
        before = bisect_left(tops, (invoked, 0))
        if not before or tops[before - 1][1] < at.offset:
            return
        tear = self._tears.setdefault((channel, at.epoch), Tear(when))
        tear.back = at.offset if tear.back is None else min(tear.back, at.offset)

    def tear(self, channel: str, epoch: str, offset: int, tags: tuple[str, str], at: int) -> None:
        """Another tag was seen at an offset than the one seen there first."""
        tear = self._tears.setdefault((channel, epoch), Tear(at))
        known = tear.tags.setdefault(offset, [tags[0]])
        if tags[1] not in known:
            known.append(tags[1])

    def excuses(self, channel: str, epoch: str, offset: int) -> bool:
        """Whether what was acknowledged there may be lost, where it is told."""
        tear = self._tears.get((channel, epoch))
        if tear is None:
            return False
        return self.is_replaced(channel, epoch, offset) or (tear.back is not None and offset >= tear.back)

    def is_replaced(self, channel: str, epoch: str, offset: int) -> bool:
        """Whether two things were seen there, or before it."""
        tear = self._tears.get((channel, epoch))
        return tear is not None and offset >= min(tear.tags, default=offset + 1)

    def judge(self, readers: Iterable[Reader], tops: Mapping[str, Position], findings: Findings) -> None:
        """Hold it against each reader that had what was lost whether he was told.

        Args:
            readers: all.
            tops: where the streams ended.
            findings: takes the verdict. It counts the streams that went on in the epoch that lost something: readers
                that know tags are told all the same, and those that do not are not.
        """
        ended = {(channel, top.epoch) for channel, top in tops.items()}
        findings.count("torn streams", len(self._tears))
        findings.count("torn streams without a new epoch", len(self._tears.keys() & ended))
        for reader in readers:
            for span in reader.spans:
                tear = self._tears.get((reader.channel, span.epoch))
                if tear is None or (reader.ended and span is reader.spans[-1]):
                    continue
                if (lost := _lost(span, tear)) is None:
                    continue
                what = f"{reader.name} had what was at {span.epoch}/{lost} before that was given out again, and"
                if not span.told:
                    findings.add("divergent", f"{what} was told nothing")
                elif (late := (span.over - tear.at) / 1e9) > TOLD_SECONDS:
                    findings.add("divergent", f"{what} was told {late:.0f} s later")


def _lost(span: Span, tear: Tear) -> int | None:
    """Return an offset at which a reader had something that is not there any more."""
    return next((offset for offset, tag in span.tags.items() if tag in tear.tags.get(offset, ())[:-1]), None)
