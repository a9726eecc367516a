"""What one client saw of one channel, judged as it comes: gaps, repeats, order, and what is still owed to it.

A reader's life in a channel is a row of *spans*. A span begins where the gateway said the reader stands; within it
every offset must follow the last. It ends when the reader is told that it may have missed something (a reset), which
also says from where on it sees everything again. What lies in a span and was acknowledged is owed to the reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.history import EVERYONE, Key, Label, Position, Receive
from tests.faults.verdicts import Findings


@dataclass(slots=True)
class Push:
    """One publication as its producer knows it.

    Args:
        label: what was published, for whom.
        invoked: when the first attempt began.
        stored: the receipt's position; None without a receipt.
        unknown: whether an attempt ended with nobody knowing.
        failed: whether an attempt ended with "nothing was stored".
        pending: whether the last attempt has not ended.
    """

    label: Label
    invoked: int
    stored: Position | None = None
    unknown: bool = False
    failed: bool = False
    pending: bool = True

    @property
    def refused(self) -> bool:
        """Whether the producer may rely on it that nothing was stored."""
        return self.failed and not (self.stored or self.unknown or self.pending)


@dataclass(slots=True)
class Span:
    """A stretch without a reset: everything of `epoch` after `base`, of which `last` was the newest that came.

    `told` says whether it ended with the reader being told that something may be missing, and `over` when it ended.
    `tags` has what lay at its offsets.
    """

    at: int
    epoch: str
    base: int
    last: int
    told: bool = False
    over: int = 0
    tags: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Reader:
    """One client in one channel."""

    process: str
    user: str
    channel: str
    live: bool = False
    ended: bool = False
    spans: list[Span] = field(default_factory=list)
    seen: dict[Key, str] = field(default_factory=dict)
    order: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    last_reset: int = 0

    @property
    def name(self) -> str:
        return f"{self.process} in {self.channel}"

    @property
    def position(self) -> tuple[str, int]:
        """The epoch and offset it stands at."""
        return (self.spans[-1].epoch, self.spans[-1].last) if self.spans else ("", 0)

    def begin(self, at: int, position: Position, *, told: bool) -> None:
        """Start a span. `told` says whether the reader was told that what lies between may be missing."""
        if self.spans:
            self.spans[-1].told = told
            self.spans[-1].over = at
        if told:
            self.last_reset = at
        self.live = True
        span = Span(at, position.epoch, position.offset, position.offset)
        span.tags[position.offset] = position.tag
        self.spans.append(span)

    def resume(self, at: int, position: Position, findings: Findings) -> None:
        """Go on in the present span, as the gateway said that it can."""
        self.live = True
        if not self.spans:
            self.begin(at, position, told=False)
        elif position.epoch != self.spans[-1].epoch:
            findings.add("silent gap", f"{self.name} resumed as recovered, but in another epoch, at {at}")
            self.begin(at, position, told=False)

    def receive(self, event: Receive, findings: Findings) -> None:
        """Judge what arrived."""
        label, offset = event.label, event.position.offset
        where = f"{self.name} at {event.position.epoch}/{offset}"
        if not self.live:
            findings.add("leak", f"{where}: it holds no subscription")
            return
        if label is None or event.crc != event.computed:
            findings.add("corrupt", f"{where}: the checksum is wrong or the payload unreadable")
            label = None
        elif label.channel != self.channel or label.audience not in (self.user, EVERYONE):
            findings.add("leak", f"{where}: {label.key} was for {label.audience} in {label.channel}")
        self._place(label, event, where, findings)
        if label is not None:
            epoch, producer = self.spans[-1].epoch, label.producer
            self.seen[label.key] = epoch
            self.order.setdefault((epoch, producer), []).append(label.number)

    def _place(self, label: Label | None, event: Receive, where: str, findings: Findings) -> None:
        span, offset = self.spans[-1], event.position.offset
        before = self.seen.get(label.key) if label is not None else None
        if before == span.epoch:
            findings.add("duplicate", f"{where}: {label and label.key} came before")
        elif before is not None:
            findings.count("repeated in another epoch")
        elif offset <= span.last:
            findings.add("reordered", f"{where}: it stood at {span.last} already")
        if offset > span.last + 1:
            findings.add("silent gap", f"{where}: it stood at {span.last} and was told nothing")
        span.last = max(span.last, offset)
        span.tags.setdefault(offset, event.position.tag)

    def owed(self, push: Push) -> str:
        """Return why this acknowledged publication should have come; empty when it need not have.

        The words prefix, middle and suffix say where in a span it is missing.
        """
        stored = push.stored
        if stored is None or not self.spans:
            return ""
        for span in reversed(self.spans):
            if span.epoch != stored.epoch:
                continue
            if push.invoked > span.at and stored.offset <= span.base:
                return "prefix"
            if stored.offset > span.base:
                return self._owed_in(span, stored.offset)
        if self.ended or any(span.epoch == stored.epoch for span in self.spans):
            return ""
        first = self.spans[0].at
        return "in an epoch it never heard of" if first < push.invoked and self.last_reset < push.invoked else ""

    def told_since(self, push: Push) -> bool:
        """Whether it was told, after this was published, that something in its epoch may be missing."""
        stored = push.stored
        return stored is not None and any(
            span.told and span.epoch == stored.epoch and span.over > push.invoked for span in self.spans
        )

    def _owed_in(self, span: Span, offset: int) -> str:
        if offset <= span.last:
            return "middle"
        return "" if span.told or self.ended else "suffix"
