"""The verdict over a history: were the promises of the design kept, and did the run try them at all?

Pure: events in, a verdict out. It knows nothing of the gateway, the faults or the clients beyond what the history says.
An outcome nobody knows counts neither as stored nor as not stored. The vocabulary is that of the checks usual for
distributed logs: lost, duplicate, reordered, phantom, recovered (unknown, but read), divergent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from messageflow.core.codes import Disconnect
from tests.faults.asked import Asked, Asking
from tests.faults.history import (
    ClientStart,
    Close,
    End,
    Event,
    FaultStart,
    FaultStop,
    Healed,
    Key,
    Label,
    Memory,
    Misbehaved,
    Position,
    PublishFail,
    PublishInvoke,
    PublishOk,
    PublishUnknown,
    Receive,
    Reset,
    Resumed,
    Subscribed,
    Top,
)
from tests.faults.readers import Push, Reader
from tests.faults.torn import Torn
from tests.faults.verdicts import Expectations, Findings, Verdict

KILLED_PRODUCER = "publisher_kill"
"""The kind of fault whose target is a producer that is killed, and may leave a call without an outcome."""

SOON = 10_000_000_000
"""Nanoseconds within which a stream that lost something goes on in another epoch."""


def check(events: Sequence[Event], expected: Expectations | None = None) -> Verdict:
    """Return the verdict over a history.

    Args:
        events: in the order of time.
        expected: what this run must hold beside the promises.
    """
    checker = _Checker(expected or Expectations())
    for event in events:
        checker.take(event)
    return checker.verdict()


class _Checker:
    def __init__(self, expected: Expectations) -> None:
        self._expected = expected
        self._findings = Findings()
        self._pushes: dict[Key, Push] = {}
        self._readers: dict[tuple[str, str], Reader] = {}
        self._placed: dict[tuple[str, str, int], tuple[str, Key | None]] = {}
        self._stored: dict[tuple[str, str, Key], dict[int, None]] = {}
        self._tops: dict[str, Position] = {}
        self._faults: dict[int, FaultStart] = {}
        self._killed: set[str] = set()
        self._fired: set[str] = set()
        self._recovered: set[Key] = set()
        self._torn = Torn()
        self._asked = Asked(self._expected, self._findings)
        self._bad_resets: list[tuple[Reader, Reset]] = []
        self._epochs: dict[str, dict[str, int]] = {}

    def take(self, event: Event) -> None:
        """Judge what can be judged at once, and keep what the end needs."""
        if isinstance(event, Asking):
            self._asked.take(event)
        match event:
            case Receive():
                self._receive(event)
            case PublishInvoke() | PublishOk() | PublishFail() | PublishUnknown():
                self._publish(event)
            case ClientStart() | Subscribed() | Resumed() | Reset() | Close() | End():
                self._client(event)
            case FaultStart() | FaultStop():
                self._fault(event)
            case Memory():
                self._memory(event)
            case Misbehaved():
                self._findings.add("misbehaved", f"{event.target} {event.what}")
            case Top():
                self._tops[event.channel] = event.position
                self._place(event.channel, event.position, None, event.at)
            case Healed():
                self._findings.count("healed")

    def verdict(self) -> Verdict:
        """Judge the whole."""
        for push in self._pushes.values():
            self._outcome(push)
        for reader in self._readers.values():
            self._order(reader)
            self._end(reader)
        self._findings.count("recovered", len(self._recovered))
        self._torn.judge(self._readers.values(), self._tops, self._findings)
        self._stored_twice()
        self._too_many_bad_resets()
        self._lost()
        self._asked.judge()
        for fault in self._faults.values():
            self._findings.add("fault not fired", f"{fault.kind} on {fault.target} never ended")
        for kind in sorted(self._expected.kinds - self._fired):
            self._findings.add("fault not fired", f"{kind} was planned and never fired")
        self._too_many_epochs()
        self._least()
        found = self._findings
        return Verdict(dict(found.counts), dict(found.examples), Counter(found.figures))

    def _publish(self, event: PublishInvoke | PublishOk | PublishFail | PublishUnknown) -> None:
        key = Key(event.process, event.number)
        if isinstance(event, PublishInvoke):
            label = Label(event.process, event.number, event.channel, event.audience)
            push = self._pushes.setdefault(key, Push(label, event.at))
            push.pending = True
            return
        push = self._pushes[key]
        push.pending = False
        if isinstance(event, PublishOk):
            push.stored = push.stored or event.position
            self._place(push.label.channel, event.position, key, event.at)
            if self._expected.tails_lost and event.position.offset:
                self._torn.give(push.label.channel, event.position, push.invoked, event.at)
        elif isinstance(event, PublishUnknown):
            push.unknown = True
        else:
            push.failed = True

    def _client(self, event: ClientStart | Subscribed | Resumed | Reset | Close | End) -> None:
        if isinstance(event, ClientStart):
            for channel in event.channels:
                self._readers[event.process, channel] = Reader(event.process, event.user, channel)
        elif isinstance(event, Close | End):
            if isinstance(event, Close):
                self._close(event)
            for reader in self._readers.values():
                if reader.process == event.process:
                    reader.live = False
                    reader.ended = reader.ended or isinstance(event, End)
        elif (entered := self._reader(event)) is not None:
            self._enter(entered, event)

    def _close(self, event: Close) -> None:
        self._findings.count(f"closed with {event.code}")
        if not Disconnect(event.code, event.reason).reconnect:
            self._findings.add("thrown out", f"{event.process} with {event.code} {event.reason}, at {event.at}")
        elif self._expected.connections_kept and not self._findings.figures["healed"]:
            self._findings.add("disconnected", f"{event.process} with {event.code} {event.reason}, at {event.at}")

    def _enter(self, reader: Reader, event: Subscribed | Resumed | Reset) -> None:
        findings = self._findings
        if isinstance(event, Resumed):
            findings.count("resumed")
            self._torn.see(event.channel, event.position, event.at)
            reader.resume(event.at, event.position, findings)
            return
        reader.begin(event.at, event.position, told=isinstance(event, Reset))
        self._place(event.channel, event.position, None, event.at)
        if not isinstance(event, Reset):
            findings.count("subscribed")
            return
        findings.count("resets")
        since, top = event.since, event.position
        if since.epoch == top.epoch:
            bad = 0 <= top.offset - since.offset <= self._expected.history_size
        else:
            bad = self._expected.epochs_kept
        if bad:
            self._bad_resets.append((reader, event))

    def _too_many_bad_resets(self) -> None:
        allowed = self._expected.bad_resets_allowed
        for reader, reset in self._bad_resets:
            since, top = reset.since, reset.position
            if since.epoch == top.epoch and self._goes_on_in_another(reader.channel, reset):
                continue
            self._findings.count("bad resets")
            if allowed is not None and self._findings.figures["bad resets"] > allowed:
                text = f"{reader.name} stood at {since.epoch}/{since.offset}, and was sent to {top.epoch}/{top.offset}"
                self._findings.add("bad reset", text)

    def _goes_on_in_another(self, channel: str, reset: Reset) -> bool:
        """Whether its stream was torn, or is about to go on in another epoch: it is told early, and rightly."""
        if self._torn.excuses(channel, reset.since.epoch, reset.since.offset):
            return True
        epochs = self._epochs.get(channel, {})
        others = list(epochs.values())[1:] if reset.since.epoch in epochs else epochs.values()  # it may have been empty
        return any(abs(first - reset.at) < SOON for first in others)

    def _receive(self, event: Receive) -> None:
        self._findings.count("received")
        reader = self._reader(event)
        if reader is None:
            return
        reader.receive(event, self._findings)
        intact = event.label is not None and event.crc == event.computed
        self._place(event.channel, event.position, event.label.key if event.label and intact else None, event.at)

    def _reader(self, event: Subscribed | Resumed | Reset | Receive) -> Reader | None:
        reader = self._readers.get((event.process, event.channel))
        if reader is None:
            self._findings.add("leak", f"{event.process} got something in {event.channel}, which it never asked for")
        return reader

    def _place(self, channel: str, at: Position, key: Key | None, when: int) -> None:
        """Hold what lies at a position against what others said of it."""
        if not at.offset:
            return
        self._epochs.setdefault(channel, {}).setdefault(at.epoch, when)
        self._torn.see(channel, at, when)
        tag, known = self._placed.get((channel, at.epoch, at.offset), ("", None))
        where = f"{channel} at {at.epoch}/{at.offset}"
        if tag and at.tag and tag != at.tag:
            if self._expected.tails_lost:
                self._torn.tear(channel, at.epoch, at.offset, (tag, at.tag), when)
            else:
                self._findings.add("divergent", f"{where}: the tag is {tag} and {at.tag}")
        elif known and key and known != key:
            self._findings.add("divergent", f"{where}: there is {known} and {key}")
        self._placed[channel, at.epoch, at.offset] = (tag or at.tag, known or key)
        if key is not None:
            self._stored.setdefault((channel, at.epoch, key), {})[at.offset] = None

    def _stored_twice(self) -> None:
        for (channel, epoch, key), offsets in self._stored.items():
            if len(offsets) > 1 and not self._torn.excuses(channel, epoch, max(offsets)):
                places = " and ".join(map(str, offsets))
                self._findings.add("duplicate", f"{channel} in {epoch}: {key} is stored at {places}")

    def _fault(self, event: FaultStart | FaultStop) -> None:
        if isinstance(event, FaultStart):
            self._faults[event.fault] = event
            if event.kind == KILLED_PRODUCER:
                self._killed.add(event.target)
            return
        start = self._faults.pop(event.fault, None)
        if event.fired:
            self._fired.add(event.kind)
            self._findings.count("faults")
        else:
            target = start.target if start is not None else ""
            self._findings.add("fault not fired", f"{event.kind} {event.fault} on {target} did nothing")

    def _memory(self, event: Memory) -> None:
        figures, budget = self._findings.figures, self._expected.memory_budget
        figures["memory samples"] += 1
        figures["peak memory"] = max(figures["peak memory"], event.size)
        if budget and event.size > budget:
            self._findings.add(
                "memory over budget", f"{event.target} held {event.size:,} bytes, {budget:,} are allowed"
            )

    def _outcome(self, push: Push) -> None:
        findings, label = self._findings, push.label
        findings.count("invoked")
        if push.stored is not None:
            findings.count("acknowledged")
        elif push.refused:
            findings.count("failed")
        else:
            findings.count("unknown")
        if push.pending and label.producer not in self._killed:
            findings.add("stuck", f"{label.producer} never got an answer about {label.number}")

    def _order(self, reader: Reader) -> None:
        """What one producer published one after the other arrives so, and nothing arrives that nobody published."""
        for (epoch, producer), numbers in reader.order.items():
            newest = 0
            for number in numbers:
                push = self._pushes.get(Key(producer, number))
                if push is None or push.refused:
                    why = "was never published" if push is None else "was reported as not stored"
                    self._findings.add("phantom", f"{reader.name}: {producer} {number} {why}")
                elif push.stored is None:
                    self._recovered.add(push.label.key)
                elif number < newest:
                    self._findings.add("reordered", f"{reader.name} in {epoch}: {producer} {number} after {newest}")
                else:
                    newest = number

    def _end(self, reader: Reader) -> None:
        """Whether it is there at the end, and as far as the stream goes."""
        if reader.ended:
            return
        if not reader.live:
            self._findings.add("stuck", f"{reader.name} did not come back")
            return
        top = self._tops.get(reader.channel)
        if top is None or (epoch_and_offset := reader.position) == (top.epoch, top.offset):
            return
        epoch, offset = epoch_and_offset
        text = f"{reader.name} stands at {epoch}/{offset}, the stream at {top.epoch}/{top.offset}"
        self._findings.add("divergent" if epoch == top.epoch and offset > top.offset else "stuck", text)

    def _lost(self) -> None:
        readers: dict[str, list[Reader]] = {}
        for reader in self._readers.values():
            readers.setdefault(reader.channel, []).append(reader)
        for push in self._pushes.values():
            if push.stored is None:
                continue
            for reader in readers.get(push.label.channel, ()):
                owed = reader.owed(push)
                if not owed:
                    continue
                self._findings.count("owed")
                if push.label.key in reader.seen:
                    continue
                place = (push.label.channel, push.stored.epoch, push.stored.offset)
                if self._torn.excuses(*place) and reader.told_since(push):
                    self._findings.count("lost, but told")
                elif self._torn.is_replaced(*place) and self._expected.witnesses_lost:
                    self._findings.count("lost with the gateway that knew")
                else:
                    at = f"{push.stored.epoch}/{push.stored.offset}"
                    self._findings.add("lost", f"{reader.name}: {push.label.key} at {at} ({owed})")

    def _too_many_epochs(self) -> None:
        for channel, epochs in self._epochs.items():
            if self._expected.epochs_most and len(epochs) > self._expected.epochs_most:
                text = f"{channel} had {len(epochs)} epochs, {self._expected.epochs_most} at most were called for"
                self._findings.add("bad reset", f"{text}: {', '.join(epochs)}")

    def _least(self) -> None:
        for figure, least in self._expected.minimum.items():
            if (value := self._findings.figures[figure]) < least:
                self._findings.add("too little", f"{figure}: {value}, at least {least} make a run")
