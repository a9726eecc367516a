"""Streams that lost their end and gave its offsets out again, in runs in which a failover may do that to them.

What lies at such an offset is then one thing for some and another for others. That is allowed, and what was
acknowledged there may be lost, as long as everybody who stood there is told soon that he may have missed something.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.readers import Reader
from tests.faults.verdicts import Findings

TOLD_SECONDS = 30.0
"""Seconds within which a reader is told, other faults that act on it meanwhile included."""


@dataclass(slots=True)
class Tear:
    """From which offset a stream had two continuations, and when the first of them was seen."""

    offset: int
    at: int


class Torn:
    """The torn streams of one history, by channel and epoch."""

    def __init__(self) -> None:
        self._tears: dict[tuple[str, str], Tear] = {}

    def tear(self, channel: str, epoch: str, offset: int, at: int) -> None:
        """Two things were seen at one offset."""
        tear = self._tears.setdefault((channel, epoch), Tear(offset, at))
        tear.offset = min(tear.offset, offset)

    def excuses(self, channel: str, epoch: str, offset: int) -> bool:
        """Whether what was acknowledged there may be lost."""
        tear = self._tears.get((channel, epoch))
        return tear is not None and offset >= tear.offset

    def judge(self, readers: Iterable[Reader], findings: Findings) -> None:
        """Hold it against each reader that stood there whether he was told."""
        findings.count("torn streams", len(self._tears))
        for reader in readers:
            for span in reader.spans:
                tear = self._tears.get((reader.channel, span.epoch))
                if tear is None or span.last < tear.offset or (reader.ended and span is reader.spans[-1]):
                    continue
                what = f"{reader.name} in {span.epoch}, of which offset {tear.offset} was given out twice,"
                if not span.told:
                    findings.add("divergent", f"{what} was told nothing")
                elif (late := (span.over - tear.at) / 1e9) > TOLD_SECONDS:
                    findings.add("divergent", f"{what} was told {late:.0f} s later")
