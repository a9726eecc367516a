"""An event stream of a gateway, read: bytes in, events out, and the id by which the next one goes on.

Pure; `subscriber` owns the connection.

Source: HTML Living Standard, "Server-sent events"; docs/event-streams.md.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Accepted(msgspec.Struct, frozen=True):
    """The stream has begun; `ping` is how many seconds it is silent at most, 0 for nobody knows."""

    client: str
    ping: float = 0.0


class Missed(msgspec.Struct, frozen=True):
    """The history of these channels no longer reaches back to where we were."""

    channels: tuple[str, ...]


class Arrived(msgspec.Struct, frozen=True):
    """A publication, in order and never twice within an epoch."""

    channel: str
    offset: int
    data: msgspec.Raw


class SomebodyJoined(msgspec.Struct, frozen=True):
    """Somebody joined the channel."""

    channel: str
    info: Any


class SomebodyLeft(msgspec.Struct, frozen=True):
    """Somebody left the channel."""

    channel: str
    info: Any


class Ended(msgspec.Struct, frozen=True):
    """The gateway has ended the stream, and says why."""

    code: int
    reason: str


Event = Accepted | Missed | Arrived | SomebodyJoined | SomebodyLeft | Ended

_KINDS: dict[str, type[Event]] = {
    "connect": Accepted,
    "reset": Missed,
    "": Arrived,
    "join": SomebodyJoined,
    "leave": SomebodyLeft,
    "disconnect": Ended,
}


class ListenProtocol:
    """One listener, over as many streams as it takes.

    Attributes:
        last_event_id: where it is; empty before the first id.
    """

    def __init__(self) -> None:
        self.last_event_id = ""
        self.begin()

    def begin(self) -> None:
        """Forget what was left unfinished: another stream begins."""
        self._rest = b""
        self._name = ""
        self._id = self.last_event_id
        self._data: list[bytes] = []

    def receive(self, data: bytes) -> list[Event]:
        """Return the events that are complete, in order.

        Raises:
            ValueError: one is none of a gateway's.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        events: list[Event] = []
        for line in lines:
            self._take(line.removesuffix(b"\r"), events)
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            self._dispatch(events)
        elif field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode(errors="replace")
        elif field == b"id":
            self._id = value.decode("latin-1")

    def _dispatch(self, events: list[Event]) -> None:
        kind, data = _KINDS.get(self._name), b"\n".join(self._data)
        self._name, self._data = "", []
        self.last_event_id = self._id
        if data and kind is not None:
            try:
                events.append(msgspec.json.decode(data, type=kind))
            except msgspec.MsgspecError as error:  # older versions of which are no ValueError
                raise ValueError(str(error)) from error
