"""The dialect of a plain `EventSource`: a publication is an event whose data is what was published.

Publications are unnamed events, so that `onmessage` gets them; all else has a name. An id, completed for each reader by
`core.event_ids`, says where to resume. Nothing comes back: the client's one command is made of its request.

Source: HTML Living Standard, "Server-sent events"; docs/event-streams.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from messageflow.core.codes import Disconnect, ErrorCode
from messageflow.core.event_ids import write_beginning, write_step
from messageflow.core.protocol import (
    Command,
    ConnectResult,
    FaultyCommand,
    Joined,
    Left,
    Moved,
    PublicationView,
    Push,
    Refreshed,
    Result,
    Subscribed,
    SubscribeResult,
    Unsubscribed,
)
from messageflow.core.stream import Position, Publication
from messageflow.dialects.base import MalformedMessage
from messageflow.dialects.stream_dialect import StreamDialect

_LINE_END = re.compile(rb"\r\n|\r|\n")
_ERROR: Final = b"event: error\ndata: "
_NAMES: Final = {
    Joined: b"join",
    Left: b"leave",
    Unsubscribed: b"unsubscribe",
    Subscribed: b"subscribe",
    Refreshed: b"refresh",
}

_encode = msgspec.json.Encoder().encode


def write_event(data: bytes, name: bytes = b"", event_id: bytes = b"") -> bytes:
    """Return one event.

    Args:
        data: JSON or other text, with a `data:` line for each of its lines.
        name: of its kind; empty for what `onmessage` gets.
        event_id: the line of its id, as `core.event_ids` writes it.
    """
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    if name:
        return b"event: %b\ndata: %b%b\n\n" % (name, data, event_id)
    return b"data: %b%b\n\n" % (data, event_id)


class EventStream:
    """The two halves of the dialect, as `dialects.base` has them."""

    ping = b":\n\n"
    pong = b""
    name = "event_source"
    is_text = True
    join = staticmethod(b"".join)

    @property
    def encoder(self) -> EventStream:
        return self

    def decode(self, message: bytes, most: int) -> list[Command | FaultyCommand]:
        raise MalformedMessage("an event stream has no way back")

    def publication(self, channel: str, publication: Publication) -> bytes:
        step = write_step(channel, publication.offset, publication.tag) if publication.offset else b""
        return self.write_publication(channel, publication, step)

    def write_publication(self, channel: str, publication: Publication | PublicationView, event_id: bytes) -> bytes:
        """Return what was published as an event."""
        return write_event(bytes(publication.data), event_id=event_id)

    def write_notice(self, name: bytes, data: bytes, event_id: bytes = b"") -> bytes:
        """Return something else that there is to say, as an event."""
        return write_event(data, name, event_id)

    def write_reset(self, data: bytes) -> bytes:
        """Return what a page is told that missed something; `data` names the channels."""
        return self.write_notice(b"reset", data)

    def push(self, channel: str, push: Push) -> bytes:
        if isinstance(push, Moved):  # an id alone, which no page hears of and every reader brings back
            return b":%b\n\n" % write_step(channel, push.offset, push.tag)
        data = _encode({"channel": channel, **msgspec.to_builtins(push, builtin_types=(msgspec.Raw,))})
        if isinstance(push, Subscribed) and push.epoch:
            beginning = write_beginning(channel, Position(push.epoch, push.offset, push.tag))
            return self.write_notice(_NAMES[type(push)], data, beginning)
        return self.write_notice(_NAMES[type(push)], data)

    def result(self, command_id: int, method: str, result: Result) -> bytes:
        assert isinstance(result, ConnectResult)
        return b"".join(self._begin(result))

    def _begin(self, result: ConnectResult) -> Sequence[bytes]:
        """Return what a stream begins with: who it is for, where each channel stands, what was missed."""
        missed = [name for name, sub in result.subs.items() if sub.was_recovering and not sub.recovered]
        begun: dict[str, object] = {"client": result.client, "channels": list(result.subs)}
        if result.ping:
            begun["ping"] = result.ping
        if result.expires:
            begun["ttl"] = result.ttl
        if isinstance(result.data, msgspec.Raw):
            begun["data"] = result.data
        events = [self.write_notice(b"connect", _encode(begun))]
        positions = {name: Position(sub.epoch, sub.offset, sub.tag) for name, sub in result.subs.items() if sub.epoch}
        if positions:  # in one event, so that an id speaks of all channels or there is none
            events.append(b":%b\n\n" % b"".join([write_beginning(*each) for each in positions.items()]))
        if missed:
            events.append(self.write_reset(_encode({"channels": missed})))
        for name, sub in result.subs.items():
            events += self._list_missed(name, sub)
        return events

    def _list_missed(self, name: str, sub: SubscribeResult) -> list[bytes]:
        return [
            self.write_publication(name, each, write_step(name, each.offset, each.tag) if each.offset else b"")
            for each in sub.publications
        ]

    def error(self, command_id: int, error: ErrorCode) -> bytes:
        return write_event(_encode(dict(zip(ErrorCode._fields, error, strict=True))), b"error")

    def read_error(self, message: bytes) -> ErrorCode | None:
        if not message.startswith(_ERROR):
            return None
        fields = msgspec.json.decode(message.removeprefix(_ERROR).rstrip(b"\n"))
        return ErrorCode(fields["code"], fields["message"], fields["temporary"])

    def disconnect(self, disconnect: Disconnect) -> bytes:
        return self.write_notice(b"disconnect", _encode({"code": disconnect.code, "reason": disconnect.reason}))


class Envelopes(EventStream):
    """The same for readers of several channels: the data of each publication says of which it is."""

    def write_publication(self, channel: str, publication: Publication | PublicationView, event_id: bytes) -> bytes:
        """Return what was published in an envelope."""
        where = b'{"channel":%b,"offset":%d,"data":' % (_encode(channel), publication.offset)
        return write_event(b"%b%b}" % (where, bytes(publication.data)), event_id=event_id)


EVENT_SOURCE: Final[StreamDialect] = EventStream()
ENVELOPES: Final[StreamDialect] = Envelopes()
