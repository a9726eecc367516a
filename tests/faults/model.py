"""A gateway of a hundred lines that keeps every promise and writes the history of a run; or breaks one on request.

It is what the checker is tested with. Nothing happens in it but what its caller does, in the order he does it, so that
Hypothesis can make histories with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tests.faults.history import (
    EVERYONE,
    ClientStart,
    Close,
    Event,
    FaultStart,
    FaultStop,
    Healed,
    Label,
    Memory,
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

Outcome = Literal["ok", "unknown stored", "unknown not stored", "retried", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "unknown stored", "unknown not stored", "retried", "failed")

Bug = Literal[
    "acknowledge before storing",
    "keep the epoch of a lost tail",
    "forget the idempotency key",
    "deliver to the wrong user",
    "skip one delivery in forty",
    "resend on resume",
    "skip the first of what was missed",
    "skip the last of what was missed",
    "recover across a lost window",
    "recover across epochs",
    "never recover",
    "subscribe beyond the top",
    "swap on delivery",
    "store in the wrong order",
    "store what failed",
    "flip a bit",
]

WINDOW = 20
"""Publications a stream of the model keeps."""


@dataclass(slots=True)
class Stream:
    """One channel."""

    epoch: str
    kept: list[tuple[Label, str]] = field(default_factory=list)
    dropped: int = 0

    @property
    def top(self) -> Position:
        tag = self.kept[-1][1] if self.kept else ""
        return Position(self.epoch, self.dropped + len(self.kept), tag)


@dataclass(slots=True)
class Client:
    """One client: who it is, what it reads, and where it stands."""

    name: str
    user: str
    channels: list[str]
    here: bool = False
    at: dict[str, Position] = field(default_factory=dict)


class Model:
    """A run.

    Args:
        users: one client each, holding his personal channel, the broadcast channel and `open:a`.
        bug: the promise that is broken, none without.
    """

    def __init__(self, users: int, bug: Bug | None = None) -> None:
        self.events: list[Event] = []
        self._bug = bug
        self._time = 0
        self._epochs = 0
        self._numbers: dict[str, int] = {}
        self._deliveries = 0
        self._held: tuple[Client, Label, Position] | None = None
        self._faults = 0
        names = [f"user-{number}" for number in range(users)]
        self.clients = [Client(f"client-{name}", name, [f"#{name}", EVERYONE, "open:a"]) for name in names]
        self.channels = [f"#{name}" for name in names] + [EVERYONE, "open:a"]
        self.streams = {channel: Stream(self._epoch()) for channel in self.channels}
        for client in self.clients:
            self.events.append(
                ClientStart(at=self._now(), process=client.name, user=client.user, channels=client.channels)
            )

    def publish(self, producer: str, channel: str, outcome: Outcome) -> None:
        """One publication, with this outcome for its producer."""
        label = self._label(producer, channel)
        self._invoke(label)
        if outcome == "failed":
            if self._bug == "store what failed":
                self._store(label)
            self.events.append(PublishFail(at=self._now(), process=producer, number=label.number, error="absent"))
        elif outcome == "unknown stored":
            self._store(label)
            self._unknown(label)
        elif outcome == "unknown not stored":
            self._unknown(label)
        elif outcome == "retried":
            self._retried(label)
        else:
            self._ok(label)

    def publish_two(self, producer: str, channel: str) -> None:
        """Two publications, one after the other."""
        first, second = self._label(producer, channel), self._label(producer, channel)
        self._invoke(first)
        if self._bug != "store in the wrong order":
            self._ok(first)
            self._invoke(second)
            self._ok(second)
            return
        at_second = self._store(second)
        at_first = self._store(first)
        self._receipt(first, at_first)
        self._invoke(second)
        self._receipt(second, at_second)

    def come(self, which: int) -> None:
        """A client connects, with the positions it has."""
        client = self.clients[which % len(self.clients)]
        if client.here:
            return
        client.here = True
        for channel in client.channels:
            since = client.at.get(channel)
            if since is None:
                self._subscribe(client, channel)
            else:
                self._resume(client, channel, since)

    def go(self, which: int) -> None:
        """A client loses its connection."""
        client = self.clients[which % len(self.clients)]
        if client.here:
            client.here = False
            self._held = None
            self.events.append(Close(at=self._now(), process=client.name, code=0))

    def lose_tail(self, channel: str, count: int) -> None:
        """The gateway crashes and some of what it stored is gone; everybody is disconnected."""
        for which in range(len(self.clients)):
            self.go(which)
        stream = self.streams[channel]
        del stream.kept[max(len(stream.kept) - count, 0) :]
        if self._bug != "keep the epoch of a lost tail":
            self.streams[channel] = Stream(self._epoch())

    def fault(self, kind: str, fired: int = 1) -> None:
        """A fault comes and goes."""
        self._faults += 1
        self.events.append(FaultStart(at=self._now(), process="nemesis", fault=self._faults, kind=kind))
        self.events.append(FaultStop(at=self._now(), process="nemesis", fault=self._faults, kind=kind, fired=fired))

    def finish(self) -> list[Event]:
        """All come back and read to the end; return the history."""
        self.events.append(Healed(at=self._now(), process="campaign"))
        for which in range(len(self.clients)):
            self.come(which)
        self.events.append(Memory(at=self._now(), process="campaign", target="gateway", size=50_000_000))
        for channel, stream in self.streams.items():
            self.events.append(Top(at=self._now(), process="campaign", channel=channel, position=stream.top))
        return self.events

    def _now(self) -> int:
        self._time += 1
        return self._time

    def _epoch(self) -> str:
        self._epochs += 1
        return f"epoch-{self._epochs}"

    def _label(self, producer: str, channel: str) -> Label:
        number = self._numbers[producer] = self._numbers.get(producer, 0) + 1
        return Label(producer, number, channel, channel[1:] if channel.startswith("#") else EVERYONE)

    def _invoke(self, label: Label) -> None:
        self.events.append(
            PublishInvoke(
                at=self._now(),
                process=label.producer,
                number=label.number,
                channel=label.channel,
                audience=label.audience,
            )
        )

    def _unknown(self, label: Label) -> None:
        self.events.append(
            PublishUnknown(at=self._now(), process=label.producer, number=label.number, error="no answer")
        )

    def _ok(self, label: Label) -> None:
        if self._bug == "acknowledge before storing" and label.number % 10 == 0:
            top = self.streams[label.channel].top
            self._receipt(label, Position(top.epoch, top.offset + 1))
        else:
            self._receipt(label, self._store(label))

    def _retried(self, label: Label) -> None:
        stored = self._store(label)
        self._unknown(label)
        self._invoke(label)
        if self._bug == "forget the idempotency key":
            stored = self._store(label)
        self._receipt(label, stored)

    def _receipt(self, label: Label, position: Position) -> None:
        self.events.append(
            PublishOk(at=self._now(), process=label.producer, number=label.number, position=position, ack="os")
        )

    def _store(self, label: Label) -> Position:
        stream = self.streams[label.channel]
        stream.kept.append((label, f"tag-{label.producer}-{label.number}-{self._now()}"))
        if len(stream.kept) > WINDOW:
            del stream.kept[0]
            stream.dropped += 1
        position = stream.top
        for client in self.clients:
            if client.here and label.channel in client.channels:
                self._deliver(client, label, position)
        return position

    def _deliver(self, client: Client, label: Label, position: Position) -> None:
        self._deliveries += 1
        beyond = position.offset <= client.at[label.channel].offset
        client.at[label.channel] = position
        if beyond and self._bug == "subscribe beyond the top":
            return
        if self._bug == "skip one delivery in forty" and self._deliveries % 40 == 0:
            return
        if self._bug == "swap on delivery" and self._held is None and self._deliveries > 40:
            self._held = (client, label, position)
            return
        if self._bug == "deliver to the wrong user" and label.channel[0] == "#" and self._deliveries % 10 == 0:
            other = next(each for each in self.clients if each is not client)
            self._receive(other, label, position)
        self._receive(client, label, position)
        if self._held is not None and self._held[0] is client and self._held[1].channel == label.channel:
            self._receive(*self._held)
            self._held = None

    def _receive(self, client: Client, label: Label, position: Position, channel: str = "") -> None:
        flipped = self._bug == "flip a bit" and self._deliveries % 40 == 0
        self.events.append(
            Receive(
                at=self._now(),
                process=client.name,
                channel=channel or label.channel,
                position=position,
                label=label,
                crc=7,
                computed=8 if flipped else 7,
            )
        )

    def _subscribe(self, client: Client, channel: str) -> None:
        top = self.streams[channel].top
        if self._bug == "subscribe beyond the top":
            top = Position(top.epoch, top.offset + 1)
        client.at[channel] = top
        self.events.append(Subscribed(at=self._now(), process=client.name, channel=channel, position=top))

    def _resume(self, client: Client, channel: str, since: Position) -> None:
        stream = self.streams[channel]
        top = stream.top
        missed = top.offset - since.offset
        recovered = since.epoch == top.epoch and 0 <= missed <= len(stream.kept)
        if self._bug == "recover across a lost window" and since.epoch == top.epoch and missed > len(stream.kept):
            recovered, missed = True, len(stream.kept)
        if self._bug == "recover across epochs" and since.epoch != top.epoch:
            recovered, missed = True, 0
        if self._bug == "never recover":
            recovered = False
        client.at[channel] = top
        kind = Resumed if recovered else Reset
        where = since if recovered else top
        self.events.append(
            kind(at=self._now(), process=client.name, channel=channel, since=since, position=self._named(where, top))
        )
        if recovered and missed > 0:
            self._replay(client, stream, missed)

    def _named(self, where: Position, top: Position) -> Position:
        return Position(top.epoch, where.offset, where.tag)

    def _replay(self, client: Client, stream: Stream, missed: int) -> None:
        """Send what was missed, oldest first."""
        first = stream.dropped + len(stream.kept) - missed
        numbered = [
            (label, Position(stream.epoch, first + place, tag))
            for place, (label, tag) in enumerate(stream.kept[len(stream.kept) - missed :], start=1)
        ]
        if self._bug == "skip the first of what was missed":
            del numbered[0]
        elif self._bug == "skip the last of what was missed":
            del numbered[-1]
        elif self._bug == "resend on resume":
            numbered.insert(0, numbered[0])
        for label, position in numbered:
            self._receive(client, label, position)
