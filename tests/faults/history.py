"""What happened in a fault run, as a list of events: one JSON object a line, written by every process for itself.

Owns the form of the events and of the payload that is published, and the files they are kept in. It judges nothing;
that is `checker`. Times are nanoseconds of the machine's monotonic clock, which all its processes share.

A payload says who made it, for whom, in which channel, and carries a checksum, so that whoever reads it can tell
whether it should have come to him, whatever the gateway says about it.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

EVERYONE = "*"
"""The audience of what any user may read."""


class Key(NamedTuple):
    """The identity of one publication: who made it, and its number there, from 1."""

    producer: str
    number: int


class Position(NamedTuple):
    """Where a reader stands in a stream, as the gateway says it."""

    epoch: str
    offset: int
    tag: str = ""


class Label(msgspec.Struct, frozen=True):
    """What a payload says about itself."""

    producer: str
    number: int
    channel: str
    audience: str

    @property
    def key(self) -> Key:
        return Key(self.producer, self.number)


class Payload(Label, frozen=True):
    """What is published. `filler` gives it a size; `crc` covers everything else."""

    filler: str
    crc: int

    @classmethod
    def make(cls, label: Label, filler: str) -> Self:
        return cls(label.producer, label.number, label.channel, label.audience, filler, checksum(label, filler))

    @property
    def label(self) -> Label:
        return Label(self.producer, self.number, self.channel, self.audience)


def checksum(label: Label, filler: str) -> int:
    """Return the CRC-32 of a payload's content."""
    parts = (label.producer, str(label.number), label.channel, label.audience, filler)
    return zlib.crc32("\0".join(parts).encode())


class _Event(msgspec.Struct, frozen=True, tag_field="event", kw_only=True):
    at: int
    process: str


class ClientStart(_Event, frozen=True, tag="client_start"):
    """A client begins: who it is and what it is going to read. It reads until the end or until it says `end`."""

    user: str
    channels: list[str]


class End(_Event, frozen=True, tag="end"):
    """A client or a producer ends because it wants to. Nothing is owed to it any more."""


class PublishInvoke(_Event, frozen=True, tag="publish_invoke"):
    """A producer is about to publish. The same number again is another try with the same idempotency key."""

    number: int
    channel: str
    audience: str


class PublishOk(_Event, frozen=True, tag="publish_ok"):
    """The gateway gave a receipt."""

    number: int
    position: Position
    ack: str = ""


class PublishFail(_Event, frozen=True, tag="publish_fail"):
    """The producer was told that nothing was stored."""

    number: int
    error: str


class PublishUnknown(_Event, frozen=True, tag="publish_unknown"):
    """The producer was told that nobody knows."""

    number: int
    error: str


class Subscribed(_Event, frozen=True, tag="subscribed"):
    """A reader begins at this position, without having asked for anything older."""

    channel: str
    position: Position


class Resumed(_Event, frozen=True, tag="resumed"):
    """A reader came back and was told that it gets all it missed (recovered: true)."""

    channel: str
    since: Position
    position: Position


class Reset(_Event, frozen=True, tag="reset"):
    """A reader came back and was told that something may be missing (recovered: false); it goes on from `position`."""

    channel: str
    since: Position
    position: Position


class Receive(_Event, frozen=True, tag="receive"):
    """A publication arrived.

    `position` is its offset and tag, in the epoch the reader stands in. `label` is None where the payload could not be
    read; `crc` is what it says, `computed` what its content gives.
    """

    channel: str
    position: Position
    label: Label | None
    crc: int = 0
    computed: int = 0


class Close(_Event, frozen=True, tag="close"):
    """A client's connection ended. 0 where no code came."""

    code: int
    reason: str = ""


class FaultStart(_Event, frozen=True, tag="fault_start"):
    """The nemesis begins a fault. `target` names what it is done to."""

    fault: int
    kind: str
    target: str = ""


class FaultStop(_Event, frozen=True, tag="fault_stop"):
    """The nemesis ended a fault. `fired` counts what it really did, in whatever unit the kind has; 0 is nothing."""

    fault: int
    kind: str
    fired: int


class Healed(_Event, frozen=True, tag="healed"):
    """No fault acts from here on."""


class Misbehaved(_Event, frozen=True, tag="misbehaved"):
    """The gateway's processes did what they must never do: died by themselves, did not end, did not come back."""

    target: str
    what: str


class Memory(_Event, frozen=True, tag="memory"):
    """What a process of the gateway holds in memory at this moment, in bytes."""

    target: str
    size: int


class Top(_Event, frozen=True, tag="top"):
    """Where a stream ended after the last publication, as the gateway says when asked."""

    channel: str
    position: Position


class Told(_Event, frozen=True, tag="told"):
    """A teller tells the application something, for the first time. `wish` is what the handler is to do with it."""

    number: int
    wish: str


class ToldOk(_Event, frozen=True, tag="told_ok"):
    """The teller has a receipt: it was handled."""

    number: int


class ToldFail(_Event, frozen=True, tag="told_fail"):
    """The teller was told that it has failed, was refused, or that nobody knows (113). If that is not the last word
    it is going to tell it again, later, with the same key.
    """

    number: int
    code: int
    reason: str
    last: bool = True


class Handling(_Event, frozen=True, tag="handling"):
    """A handler begins with what a teller told. The process is that of the handler."""

    teller: str
    number: int


class Handled(_Event, frozen=True, tag="handled"):
    """It has come to its end and returns."""

    teller: str
    number: int


class CameIn(_Event, frozen=True, tag="came_in"):
    """`on_connect` lets a connection in."""

    client: str
    user: str


class WentOut(_Event, frozen=True, tag="went_out"):
    """`on_disconnect` is told of the end of a connection."""

    client: str
    code: int
    reason: str


class Admitted(_Event, frozen=True, tag="admitted"):
    """A reader or a teller was told that it is in, and what its connection is called."""

    client: str


Event = (
    ClientStart
    | End
    | PublishInvoke
    | PublishOk
    | PublishFail
    | PublishUnknown
    | Subscribed
    | Resumed
    | Reset
    | Receive
    | Close
    | FaultStart
    | FaultStop
    | Healed
    | Memory
    | Misbehaved
    | Top
    | Told
    | ToldOk
    | ToldFail
    | Handling
    | Handled
    | CameIn
    | WentOut
    | Admitted
)

_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode
_read_payload = msgspec.json.Decoder(Payload).decode


class Recorder:
    """Appends the events of this process to a file. Each is with the kernel when `write` returns, so that it outlives
    a killed process.

    Args:
        path: the file; made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: Event) -> None:
        os.write(self._file, _encode(event) + b"\n")

    def close(self) -> None:
        os.close(self._file)


def now() -> int:
    """Return the time for an event."""
    return time.monotonic_ns()


def received(process: str, channel: str, position: Position, data: msgspec.Raw) -> Receive:
    """Return the event of a publication that has just arrived.

    Args:
        process: the client.
        channel: where it arrived.
        position: its epoch, offset and tag.
        data: what was published: a payload, or an action with one (`type` and `payload`), as `Flow.push` makes it.
    """
    try:
        payload = _read_payload(_inner(data))
    except msgspec.MsgspecError:
        return Receive(at=now(), process=process, channel=channel, position=position, label=None)
    label = payload.label
    computed = checksum(label, payload.filler)
    return Receive(
        at=now(), process=process, channel=channel, position=position, label=label, crc=payload.crc, computed=computed
    )


class _Action(msgspec.Struct, frozen=True):
    payload: msgspec.Raw = msgspec.Raw(b"")


_read_action = msgspec.json.Decoder(_Action).decode


def _inner(data: msgspec.Raw) -> msgspec.Raw:
    return _read_action(data).payload or data


def read_history(paths: Iterable[Path]) -> list[Event]:
    """Return the events of these files in the order of time; events of one process stay as it wrote them.

    A last line that a killed process did not finish is left out.

    Raises:
        ValueError: a line is no event.
    """
    events: list[Event] = []
    for path in paths:
        lines = path.read_bytes().split(b"\n")
        events += [_decode(line) for line in lines[:-1]]
    return sorted(events, key=lambda event: event.at)


def write_history(path: Path, events: Iterable[Event]) -> None:
    """Write events to one file."""
    path.write_bytes(b"".join(_encode(event) + b"\n" for event in events))
