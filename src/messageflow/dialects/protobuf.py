"""The native dialect in Protobuf: what `dialects.native` says as JSON, in messages with their lengths before them.

What applications say is JSON here too, in fields of bytes, so that every reader of a channel gets the same, whichever
form it takes; bytes that are none are JSON to all others (`core.opaque_bytes`).

Source: docs/protocol.md, "Protobuf".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import Disconnect, ErrorCode
from messageflow.core.protocol import (
    Command,
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
from messageflow.core.stream import Publication
from messageflow.dialects.base import MalformedMessage, TooManyCommands
from messageflow.dialects.protobuf_fields import COMMAND, EMULATION, PUSH, REPLY, REQUESTS, RESULTS
from messageflow.dialects.protobuf_structs import Readers, Writers, WrongValue, describe, read_text
from messageflow.dialects.protobuf_wire import (
    Field,
    UnreadableMessage,
    delimit,
    delimited_key,
    make_delimiter,
    number_key,
    read_fields,
    split,
    write_varint,
)
from messageflow.dialects.stream_dialect import StreamDialect

EMPTY: Final = delimit(b"")  # a ping, and what answers it
HIGHEST_ID: Final = 2**32 - 1

_decode_client = msgspec.json.Decoder(ClientInfo).decode
_decode_tags = msgspec.json.Decoder(dict[str, str]).decode


# What comes


_SHAPES: Final = describe({**REQUESTS, **RESULTS})
_read_command = Readers(_SHAPES).make(Command)
_ENVELOPE: Final = {number_key(COMMAND["id"]): Field("id", int)} | {
    delimited_key(number): Field(name, bytes) for name, number in COMMAND.items() if name != "id"
}
_EMULATED: Final = {
    delimited_key(EMULATION["session"]): Field("session", read_text),
    delimited_key(EMULATION["node"]): Field("node", read_text),
    delimited_key(EMULATION["data"]): Field("data", bytes),
}


def decode(message: bytes, most: int) -> list[Command | FaultyCommand]:
    """Return the commands in `message`, in order.

    Raises:
        MalformedMessage: one of them is no Protobuf message, or has no id and method to answer.
        TooManyCommands: there are more than `most`.
    """
    try:
        parts = split(message, most)
        if len(parts) > most:
            raise TooManyCommands("more commands in one message than a burst may have")
        if not parts:
            raise MalformedMessage("an empty frame")
        return [_decode_command(part) for part in parts]
    except UnreadableMessage as error:
        raise MalformedMessage(str(error)) from None


def _decode_command(message: bytes) -> Command | FaultyCommand:
    try:
        command: Command = _read_command(message)
    except WrongValue as error:
        found = read_fields(_ENVELOPE, message)
        number = found.pop("id", 0)
        if len(found) != 1 or number > HIGHEST_ID:
            raise MalformedMessage(str(error)) from None
        [method] = found
        return FaultyCommand(number, method, str(error))
    return command


def read_emulated(body: bytes) -> tuple[str, str, bytes]:
    """Return the session, its node and the message in a request that sends commands of a stream.

    Raises:
        UnreadableMessage: it is none.
    """
    found = read_fields(_EMULATED, body)
    return found.get("session", ""), found.get("node", ""), found.get("data", b"")


# What goes


def _translate_client(info: bytes) -> list[bytes]:
    try:
        return [_write_client(_decode_client(info))]
    except msgspec.MsgspecError:
        return []


def _translate_tags(tags: bytes) -> list[bytes]:
    try:
        return [_write_name(name) + _write_value(value) for name, value in _decode_tags(tags).items()]
    except msgspec.MsgspecError:
        return []


_write_name, _write_value = make_delimiter(1, str.encode), make_delimiter(2, str.encode)
_write_client = Writers(_SHAPES).make(ClientInfo)
_writers = Writers(
    _SHAPES,
    within={"info": lru_cache(maxsize=1024)(_translate_client), "tags": _translate_tags},
    alike={SubscribeResult},
)
_PUBLICATION: Final = _writers.make_fields(PublicationView)
_write_data, _write_info, _write_tags = _PUBLICATION["data"], _PUBLICATION["info"], _PUBLICATION["tags"]
_write_offset, _write_tag = _PUBLICATION["offset"], _PUBLICATION["tag"]
_DELTA: Final = _PUBLICATION["delta"](True)
_write_publication = make_delimiter(PUSH["pub"], b"".join)
_write_push = make_delimiter(REPLY["push"], b"".join)
_write_channel = lru_cache(maxsize=4096)(make_delimiter(PUSH["channel"], str.encode))
_write_error = _writers.make_field(REPLY["error"], ErrorCode)
_write_disconnect = _writers.make_field(PUSH["disconnect"], Disconnect)
_KINDS: Final[Mapping[type, Callable[[Any], bytes]]] = {
    kind: _writers.make_field(PUSH[name], kind)
    for name, kind in (
        ("join", Joined),
        ("leave", Left),
        ("unsubscribe", Unsubscribed),
        ("subscribe", Subscribed),
        ("refresh", Refreshed),
        ("moved", Moved),
    )
}
_ID_KEY: Final = write_varint(number_key(REPLY["id"]))


@cache
def _result_writer(method: str, kind: type[Result]) -> Callable[[Any], bytes]:
    return _writers.make_field(REPLY[method], kind)


def encode_result(command_id: int, method: str, result: Result) -> bytes:
    """Return the reply to a command that was carried out."""
    return delimit(_ID_KEY + write_varint(command_id) + _result_writer(method, type(result))(result))


def encode_error(command_id: int, error: ErrorCode) -> bytes:
    """Return the reply to a command that was refused."""
    return delimit(_ID_KEY + write_varint(command_id) + _write_error(error))


def encode_push(channel: str, push: Push) -> bytes:
    """Return an unasked message about a channel; an empty channel name stands for the connection itself."""
    named = _write_channel(channel) if channel else b""
    return delimit(_write_push((named, _KINDS[type(push)](push))))


def encode_patch(channel: str, publication: Publication, patch: bytes | None) -> bytes:
    """Return a publication as a push whose data is what changed, or what was published."""
    if patch is None:
        return encode_publication(channel, publication)
    return encode_publication(channel, replace(publication, data=patch), _DELTA)


def encode_publication(channel: str, publication: Publication, more: bytes = b"") -> bytes:
    """Return a publication as a push. Its data goes through as it came; `more` is fields beside."""
    parts = [_write_data(publication.data)]
    if publication.info:
        parts.append(_write_info(publication.info))
    if publication.offset:
        parts.append(_write_offset(publication.offset))
    if publication.tags:
        parts.append(_write_tags(publication.tags))
    if more:
        parts.append(more)
    if publication.offset:
        parts.append(_write_tag(publication.tag))
    return delimit(_write_push((_write_channel(channel), _write_publication(parts))))


class _Protobuf:
    """The two halves of the dialect, as `dialects.base` has them."""

    ping = EMPTY
    pong = EMPTY
    name = "protobuf"
    is_text = False
    decode = staticmethod(decode)
    publication = staticmethod(encode_publication)
    patch = staticmethod(encode_patch)
    push = staticmethod(encode_push)
    result = staticmethod(encode_result)
    error = staticmethod(encode_error)
    join = staticmethod(b"".join)

    @property
    def encoder(self) -> _Protobuf:
        return self

    def disconnect(self, disconnect: Disconnect) -> bytes:
        """Return the last message where there is no close code to say why."""
        return delimit(_write_push((_write_disconnect(disconnect),)))

    def read_error(self, message: bytes) -> ErrorCode | None:
        """Return None: a refusal is a reply, and the client may try again."""
        return None


PROTOBUF: Final[StreamDialect] = _Protobuf()
