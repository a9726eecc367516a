"""The client's side of the native dialect, for a page that only listens to what the server subscribes it to.

Owns the positions: it knows where every channel stands, drops what was seen before, and asks for the rest when it
comes back. Pure: text in, events out; `pages` owns the socket.

Source: docs/protocol.md.
"""

from __future__ import annotations

from typing import Any

import msgspec

from messageflow.cli.listen_protocol import Arrived, SomebodyJoined, SomebodyLeft
from messageflow.core.protocol import ConnectResult, Joined, Left, PublicationView, Subscribed, Unsubscribed

PONG = "{}"
_CONNECT_ID = 1


class Accepted(msgspec.Struct, frozen=True):
    """The gateway took the token. `lost` names the channels whose history no longer reaches back to where we were."""

    client: str
    ping: float
    lost: tuple[str, ...]


class Denied(msgspec.Struct, frozen=True):
    """The connect command was answered with an error."""

    code: int
    message: str
    temporary: bool = False


class Pinged(msgspec.Struct, frozen=True):
    """The gateway waits for a pong."""


Event = Accepted | Arrived | SomebodyJoined | SomebodyLeft | Denied | Pinged


class _Push(msgspec.Struct, frozen=True):
    channel: str = ""
    pub: PublicationView | None = None
    join: Joined | None = None
    leave: Left | None = None
    subscribe: Subscribed | None = None
    unsubscribe: Unsubscribed | None = None


class _Line(msgspec.Struct, frozen=True):
    id: int = 0
    connect: ConnectResult | None = None
    error: Denied | None = None
    push: _Push | None = None


class _Position(msgspec.Struct):
    epoch: str
    offset: int
    tag: str


class PageProtocol:
    """One listener, over as many connections as it takes."""

    def __init__(self) -> None:
        self._positions: dict[str, _Position] = {}
        self._decode = msgspec.json.Decoder(_Line).decode

    def connect(self, token: str) -> str:
        """Return the first message of a connection: who we are, and where we left off."""
        request: dict[str, Any] = {"token": token, "name": "messageflow"}
        if self._positions:
            request["subs"] = {
                channel: {"recover": True, "epoch": at.epoch, "offset": at.offset, "tag": at.tag}
                for channel, at in self._positions.items()
            }
        return msgspec.json.encode({"id": _CONNECT_ID, "connect": request}).decode()

    def receive(self, message: str) -> list[Event]:
        """Return what a message of the gateway says, in order.

        Raises:
            ValueError: it is not in the native dialect.
        """
        events: list[Event] = []
        for text in message.split("\n"):
            if text == PONG:
                events.append(Pinged())
            elif text:
                self._line(self._read(text), events)
        return events

    def _read(self, text: str) -> _Line:
        try:
            return self._decode(text)
        except msgspec.MsgspecError as error:  # older versions of which are no ValueError
            raise ValueError(str(error)) from error

    def _line(self, line: _Line, events: list[Event]) -> None:
        if line.error is not None:
            events.append(line.error)
        elif line.connect is not None:
            self._accepted(line.connect, events)
        elif line.push is not None:
            self._pushed(line.push, events)

    def _accepted(self, result: ConnectResult, events: list[Event]) -> None:
        known = self._positions
        lost = tuple(name for name, sub in result.subs.items() if name in known and not sub.recovered)
        events.append(Accepted(result.client, float(result.ping), lost))
        self._positions = {}
        for name, sub in result.subs.items():
            before = known.get(name)
            if before is None or not sub.recovered:
                before = _Position(sub.epoch, sub.offset, sub.tag)
            if sub.recoverable:
                self._positions[name] = before
            for publication in sub.publications:
                self._publication(name, publication, events)

    def _pushed(self, push: _Push, events: list[Event]) -> None:
        channel = push.channel
        if push.pub is not None:
            self._publication(channel, push.pub, events)
        elif push.join is not None:
            events.append(SomebodyJoined(channel, push.join.info))
        elif push.leave is not None:
            events.append(SomebodyLeft(channel, push.leave.info))
        elif push.unsubscribe is not None:
            self._positions.pop(channel, None)
        elif push.subscribe is not None and push.subscribe.recoverable:
            self._positions[channel] = _Position(push.subscribe.epoch, push.subscribe.offset, push.subscribe.tag)

    def _publication(self, channel: str, publication: PublicationView, events: list[Event]) -> None:
        at = self._positions.get(channel)
        if at is not None and publication.offset:
            if publication.offset <= at.offset:
                return
            at.offset, at.tag = publication.offset, publication.tag
        events.append(Arrived(channel, publication.offset, publication.data))
