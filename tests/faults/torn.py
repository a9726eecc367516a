"""Streams that lost their end and gave its offsets out again, in runs in which a failover may do that to them.

At such an offset lies one thing for some and another for others, and what was acknowledged there first may be lost.
That is allowed as long as everybody who had the first is told soon that he may have missed something. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.faults.history import Position
from tests.faults.readers import Reader, Span
from tests.faults.verdicts import Findings

TOLD_SECONDS = 30.0
"""Seconds within which a reader is told, other faults that act on it meanwhile included."""


@dataclass(slots=True)
class Tear:
    """When it was first seen that a stream had two continuations, and the tags at each offset, oldest first."""

    at: int
    tags: dict[int, list[str]] = field(default_factory=dict)


class Torn:
    """The torn streams of one history, by channel and epoch."""

    def __init__(self) -> None:
        self._tears: dict[tuple[str, str], Tear] = {}

    def tear(self, channel: str, epoch: str, offset: int, tags: tuple[str, str], at: int) -> None:
        """Another tag was seen at an offset than the one seen there first."""
        tear = self._tears.setdefault((channel, epoch), Tear(at))
        known = tear.tags.setdefault(offset, [tags[0]])
        if tags[1] not in known:
            known.append(tags[1])

    def excuses(self, channel: str, epoch: str, offset: int) -> bool:
        """Whether what was acknowledged there may be lost."""
        tear = self._tears.get((channel, epoch))
        return tear is not None and offset >= min(tear.tags)

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
