"""A connection without a socket: what the hub writes is kept as JSON, and the test decides when its buffer is full.

Whatever the dialect and the transport, a test sends and sees the commands, replies and pushes of the native dialect: a
`Carrier` says how they look in others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from messageflow.core.codes import Disconnect
from messageflow.dialects.base import Dialect
from messageflow.dialects.native import NATIVE
from messageflow.hub.connection import WayBack
from messageflow.hub.hub import Hub
from messageflow.hub.session import Session
from messageflow.hub.transport import Transport


class Lines:
    """A `hub.transport.Transport`: one message a line."""

    one_way = False
    name = "lines"
    in_pieces = True
    probe = b"?"

    def framing(self, *, text: bool) -> Callable[[bytes], bytes]:
        assert text, "lines are text"
        return _line

    def shared_framing(self, *, text: bool) -> Callable[[bytes], bytes] | None:
        return None

    def ping(self, frame: bytes) -> bytes:
        return frame


def _line(message: bytes) -> bytes:
    return message + b"\n"


LINES = Lines()


def write_json_lines(commands: Sequence[dict[str, Any]]) -> bytes:
    """Return commands as one message of the native dialect."""
    return b"\n".join(msgspec.json.encode(command) for command in commands)


def read_json_lines(data: bytes) -> list[dict[str, Any]]:
    """Return the messages of the native dialect in what was written at once."""
    return [msgspec.json.decode(line) for line in data.splitlines()]


class Carrier(NamedTuple):
    """A dialect within a transport, and the client's side of both.

    Args:
        dialect: what is spoken.
        transport: in what frames.
        write: makes one message of commands.
        read: takes apart what was written at once.
    """

    dialect: Dialect = NATIVE
    transport: Transport = LINES
    write: Callable[[Sequence[dict[str, Any]]], bytes] = write_json_lines
    read: Callable[[bytes], list[dict[str, Any]]] = read_json_lines


NATIVE_LINES = Carrier()


class MemoryConnection:
    """A `hub.connection.Connection` for tests.

    Args:
        hub: where its session begins.
        address: of the peer.
        carrier: how it speaks.

    Attributes:
        session: the session, None when the hub refused it.
        written: the messages written so far, decoded, oldest first.
        headers: of its handshake, as the application sees them.
        way_back: where its client sends commands, None where over this.
        closed: why the hub ended it, None while it is up.
        reading: whether the hub wants to hear from it.
        answers_pings: whether it does, at once.
        on_probe: what it does when it is asked how far it has read: it answers at once.
        buffered: how many bytes wait in its buffer, as the test has it.
        peer_is_gone: whether its peer acknowledges nothing any more.
        slow: whether its peer's system has not taken all that was written, and goes on taking it.
        patient: whether it was told to wait for a peer that takes nothing.
        aborted: whether the hub dropped it.
    """

    def __init__(self, hub: Hub, address: str = "127.0.0.1", carrier: Carrier = NATIVE_LINES) -> None:
        self.on_probe: Callable[[MemoryConnection], None] = MemoryConnection.answer_probe
        self.kind = carrier.transport
        self.address = address
        self.headers: Mapping[str, str] = {}
        self._hub = hub
        self.way_back: WayBack | None = None
        self._carrier = carrier
        self.written: list[dict[str, Any]] = []
        self.closed: Disconnect | None = None
        self.reading = True
        self.answers_pings = True
        self.buffered = 0
        self.peer_is_gone = False
        self.slow = False
        self.patient = False
        self.aborted = False
        self._fills_after: int | None = None
        self.session: Session | None = hub.accept(self, carrier.dialect)

    def write(self, data: bytes) -> None:
        session = self.session
        if session is not None and data == session.encoder.ping:
            self._ping(session)
            return
        if session is not None and data == session.encoder.probe:
            self.on_probe(self)
            return
        self.written += self._carrier.read(data)
        if self._fills_after is not None:
            self._fills_after -= 1
            if self._fills_after <= 0:
                self.fill()

    def _ping(self, session: Session) -> None:
        if self.answers_pings and not self.kind.one_way:
            session.heard = True
            session.pong()

    def answer_probe(self) -> None:
        """Say that everything was read."""
        if self.session is not None:
            self._hub.note_read(self.session)

    def takes_slowly(self, seconds: float) -> bool:
        return self.slow

    def be_patient(self, patient: bool) -> None:
        self.patient = patient

    def abort(self) -> None:
        self.aborted = True
        self.buffered = 0

    def close(self, disconnect: Disconnect) -> None:
        self.closed = disconnect

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    # What a test does

    def send(self, *commands: dict[str, Any]) -> None:
        """Send commands, in one frame."""
        assert self.session is not None
        self.session.receive(self._carrier.write(commands))

    def fill(self, *, after: int = 0) -> None:
        """Let the transport's buffer be full, now or after so many writes."""
        if after:
            self._fills_after = after
        elif self.session is not None:
            self._fills_after = None
            self.session.pause()

    def empty(self) -> None:
        """Let the transport's buffer have room again."""
        if self.session is not None:
            self.session.resume()

    def lose(self) -> None:
        """Let the connection break."""
        assert self.session is not None
        self.session.lost()

    def replies(self, command_id: int) -> list[dict[str, Any]]:
        """Return what was answered to a command."""
        return [message for message in self.written if message.get("id") == command_id]

    def publications(self, channel: str) -> list[dict[str, Any]]:
        """Return the publications of a channel, those recovered in an answer first, as they came."""
        found: list[dict[str, Any]] = []
        for message in self.written:
            for result in (message.get("connect", {}).get("subs", {}).get(channel), message.get("subscribe")):
                found += (result or {}).get("publications", [])
            push = message.get("push", {})
            if push.get("channel") == channel and "pub" in push:
                found.append(push["pub"])
        return found
