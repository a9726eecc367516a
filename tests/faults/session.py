"""What a client of a fault run says and understands: the native dialect, without any of the cleverness of a client.

It keeps a position for each channel and asks for what it missed, and it passes on everything that arrives exactly as it
arrives: what comes twice or too early is for the checker to see, not for the client to hide.

Pure: text in, events and answers out; `clients` owns the socket. Source: docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tests.faults.history import Event, Position, Reset, Resumed, Subscribed, now, received

PONG = "{}"
CONNECT_ID = 1
RESUBSCRIBE = 2500
"""Unsubscribe codes from here on mean: subscribe again."""


class _Publication(msgspec.Struct):
    data: msgspec.Raw
    offset: int = 0
    tag: str = ""


class _Subscription(msgspec.Struct):
    epoch: str = ""
    offset: int = 0
    tag: str = ""
    recovered: bool = False
    publications: list[_Publication] = []


class _Connected(msgspec.Struct):
    client: str
    subs: dict[str, _Subscription] = {}
    ping: float = 0


class _Error(msgspec.Struct):
    code: int
    message: str = ""


class _Unsubscribed(msgspec.Struct):
    code: int
    reason: str = ""


class _Push(msgspec.Struct):
    channel: str = ""
    pub: _Publication | None = None
    unsubscribe: _Unsubscribed | None = None


class _Line(msgspec.Struct):
    id: int = 0
    connect: _Connected | None = None
    subscribe: _Subscription | None = None
    error: _Error | None = None
    push: _Push | None = None


_decode = msgspec.json.Decoder(_Line).decode


class Denied(Exception):
    """The gateway answered a command with an error, or took a subscription away for good."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Session:
    """One client over all its connections.

    Args:
        process: its name in the history.
        own: the channels the gateway subscribes it to by itself.
        asked: the channels it asks for.
        record: takes what happens.
        tags: whether it says the tag of where it stands. Clients of others than us do not know tags.

    Attributes:
        positions: where it stands in each channel.
        entered: the channels it holds on the present connection.
        ping: seconds between the gateway's pings; 0 before it is known.
        client: the identity the gateway gave to the present connection.
    """

    def __init__(
        self,
        process: str,
        own: Sequence[str],
        asked: Sequence[str],
        record: Callable[[Event], None],
        *,
        tags: bool = True,
    ) -> None:
        self.positions: dict[str, Position] = {}
        self.entered: set[str] = set()
        self.ping = 0.0
        self.client = ""
        self._process = process
        self._own = tuple(own)
        self._asked = tuple(asked)
        self._record = record
        self._tags = tags
        self._waiting: dict[int, str] = {}
        self._next = CONNECT_ID

    @property
    def whole(self) -> bool:
        """Whether it holds all its channels."""
        return self.entered == {*self._own, *self._asked}

    def opening(self, token: str) -> str:
        """Return the first message of a connection."""
        self.entered = set()
        self._waiting = {}
        self._next = CONNECT_ID
        request: dict[str, Any] = {"token": token}
        if subs := {channel: self._since(channel) for channel in self._own if channel in self.positions}:
            request["subs"] = subs
        connect = _encode({"id": CONNECT_ID, "connect": request})
        return "\n".join([connect, *(self._subscribe(channel) for channel in self._asked)])

    def take(self, message: str) -> list[str]:
        """Take a message of the gateway and return what to answer.

        Raises:
            Denied: there is no point in keeping this connection.
            msgspec.MsgspecError: it is not in the native dialect.
        """
        answers: list[str] = []
        for text in message.split("\n"):
            if text == PONG:
                answers.append(PONG)
            elif text:
                self._line(_decode(text), answers)
        return answers

    def _line(self, line: _Line, answers: list[str]) -> None:
        if line.error is not None:
            raise Denied(line.error.code, line.error.message)
        if line.connect is not None:
            self.ping = line.connect.ping
            self.client = line.connect.client
            for channel, subscription in line.connect.subs.items():
                self._enter(channel, subscription)
        elif line.subscribe is not None:
            self._enter(self._waiting.pop(line.id), line.subscribe)
        elif line.push is not None:
            self._push(line.push, answers)

    def _push(self, push: _Push, answers: list[str]) -> None:
        if push.pub is not None:
            self._publication(push.channel, push.pub)
        elif push.unsubscribe is not None:
            if push.unsubscribe.code < RESUBSCRIBE:
                raise Denied(push.unsubscribe.code, push.unsubscribe.reason)
            answers.append(self._subscribe(push.channel))

    def _enter(self, channel: str, given: _Subscription) -> None:
        self.entered.add(channel)
        position = Position(given.epoch, given.offset, given.tag)
        since = self.positions.get(channel)
        if since is None:
            self._record(Subscribed(at=now(), process=self._process, channel=channel, position=position))
            self.positions[channel] = position
        elif given.recovered:
            event = Resumed(at=now(), process=self._process, channel=channel, since=since, position=position)
            self._record(event)
            self.positions[channel] = since._replace(epoch=given.epoch)
        else:
            self._record(Reset(at=now(), process=self._process, channel=channel, since=since, position=position))
            self.positions[channel] = position
        for publication in given.publications:
            self._publication(channel, publication)

    def _publication(self, channel: str, publication: _Publication) -> None:
        epoch = self.positions[channel].epoch if channel in self.positions else ""
        position = Position(epoch, publication.offset, publication.tag)
        self._record(received(self._process, channel, position, publication.data))
        self.positions[channel] = position

    def _subscribe(self, channel: str) -> str:
        self._next += 1
        self._waiting[self._next] = channel
        return _encode({"id": self._next, "subscribe": {"channel": channel, **self._since(channel)}})

    def _since(self, channel: str) -> dict[str, Any]:
        at = self.positions.get(channel)
        if at is None:
            return {}
        since = {"recover": True, "epoch": at.epoch, "offset": at.offset}
        return since | {"tag": at.tag} if self._tags else since


def _encode(command: dict[str, Any]) -> str:
    return msgspec.json.encode(command).decode()
