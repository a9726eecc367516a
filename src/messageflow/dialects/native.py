"""The native dialect: the Centrifuge JSON protocol, as bytes to commands and replies and pushes to bytes.

One text holds one or more JSON objects joined by newlines, both ways. Nothing here knows sockets, frames or sessions.

Source: docs/protocol.md, "Frames".
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from messageflow.core.codes import Disconnect, ErrorCode
from messageflow.core.json import (
    ENVELOPE_DEPTH,
    MAX_DEPTH,
    UnsafeJSON,
    check_depth,
    check_untrusted,
    drop_nulls,
    explain,
    is_surely_unambiguous,
)
from messageflow.core.protocol import (
    METHODS,
    Command,
    FaultyCommand,
    Joined,
    Left,
    Moved,
    Push,
    Refreshed,
    Result,
    Subscribed,
    SubscribeResult,
    Unsubscribed,
)
from messageflow.core.stream import Publication
from messageflow.dialects.base import MalformedMessage, TooManyCommands
from messageflow.dialects.stream_dialect import StreamDialect

PING: Final = b"{}"
PONG: Final = b"{}"

HIGHEST_ID: Final = 2**32 - 1

_METHOD_LAST = re.compile(rb'\s*\{\s*"id"\s*:\s*([0-9]{1,10})\s*,\s*"([a-z_]{1,20})"\s*:\s*\{')
_METHOD_FIRST = re.compile(rb'\s*\{\s*"([a-z_]{1,20})"\s*:\s*\{')
_ID_LAST = re.compile(rb',\s*"id"\s*:\s*([0-9]{1,10})\s*\}\s*\Z')


def _parse_small(digits: str) -> int:
    return int(digits) if len(digits) < 20 else -1


# Takes what `check_untrusted` refuses, to find out which command it is; objects become tuples of pairs.
_lenient = json.JSONDecoder(object_pairs_hook=tuple, parse_int=_parse_small, strict=False).decode
_decode = msgspec.json.Decoder(Command).decode
_encode = msgspec.json.Encoder().encode

_KINDS: Final = {
    Joined: b"join",
    Left: b"leave",
    Unsubscribed: b"unsubscribe",
    Subscribed: b"subscribe",
    Refreshed: b"refresh",
    Moved: b"moved",
}


def decode(text: bytes) -> list[Command | FaultyCommand]:
    """Return the commands in `text`, in order.

    One that can be answered although its content is wrong (a field of the wrong type, data that some receiver could not
    read, nested too deep) comes as a `FaultyCommand`: what is wrong with it is no fault of its neighbours.

    Raises:
        MalformedMessage: one of them is not UTF-8, not JSON, or has no id and method to answer.
    """
    commands = list(map(_decode_command, filter(None, text.split(b"\n"))))
    if not commands:
        raise MalformedMessage("an empty frame")
    return commands


def _decode_command(line: bytes) -> Command | FaultyCommand:
    if is_surely_unambiguous(line):
        try:
            return _decode(line)
        except msgspec.MsgspecError:
            pass  # what is wrong is said below
    try:
        check_untrusted(line)
        return _decode(drop_nulls(line))
    except (UnsafeJSON, msgspec.MsgspecError, RecursionError) as error:
        reason = explain(line, error)
        envelope = _read_envelope(line)
        if envelope is None:
            raise MalformedMessage(reason) from None
        return FaultyCommand(*envelope, reason)


def _read_envelope(line: bytes) -> tuple[int, str] | None:
    """Return the id and the one method of a command whose content is wrong, None where they cannot be told."""
    try:
        check_depth(line, MAX_DEPTH + ENVELOPE_DEPTH)
        pairs = _lenient(line.decode())
    except UnsafeJSON:
        return _read_envelope_by_its_ends(line)
    except ValueError:
        return None
    if type(pairs) is not tuple or len({key for key, _ in pairs}) != len(pairs):
        return None
    fields = dict(pairs)
    number, methods = fields.get("id", 0), [name for name in METHODS if name in fields]
    known = type(number) is int and 0 <= number <= HIGHEST_ID and len(methods) == 1
    return (number, methods[0]) if known else None


def _read_envelope_by_its_ends(line: bytes) -> tuple[int, str] | None:
    """The same for a line nested too deep to be parsed: the id stands at either end of it, as every SDK writes it."""
    found = _METHOD_LAST.match(line)
    if found is not None:
        number, method = found.groups()
    else:
        first, last = _METHOD_FIRST.match(line), _ID_LAST.search(line, max(0, len(line) - 40))
        if first is None or last is None:
            return None
        method, number = first[1], last[1]
    name = method.decode()
    return (int(number), name) if int(number) <= HIGHEST_ID and name in METHODS else None


def encode_result(command_id: int, method: str, result: Result) -> bytes:
    """Return the reply to a command that was carried out."""
    if method == "subscribe" and isinstance(result, SubscribeResult) and result.delta:
        texts = [replace(each, data=Raw(_quote(bytes(each.data)))) for each in result.publications]
        result = replace(result, publications=texts)
    return b'{"id":%d,"%b":%b}' % (command_id, method.encode(), _encode(result))


def encode_error(command_id: int, error: ErrorCode) -> bytes:
    """Return the reply to a command that was refused."""
    temporary = b',"temporary":true' if error.temporary else b""
    return b'{"id":%d,"error":{"code":%d,"message":%b%b}}' % (command_id, error.code, _encode(error.message), temporary)


def encode_push(channel: str, push: Push) -> bytes:
    """Return an unasked message about a channel; an empty channel name stands for the connection itself."""
    named = b'"channel":%b,' % _encode_name(channel) if channel else b""
    return b'{"push":{%b"%b":%b}}' % (named, _KINDS[type(push)], _encode(push))


def encode_publication(channel: str, publication: Publication) -> bytes:
    """Return a publication as a push. Its data goes through as it came."""
    parts = [b'{"push":{"channel":', _encode_name(channel), b',"pub":{"data":', publication.data]
    if publication.info:
        parts += (b',"info":', publication.info)
    if publication.offset:
        parts.append(b',"offset":%d,"tag":"%b"' % (publication.offset, publication.tag.encode()))
    if publication.tags:
        parts += (b',"tags":', publication.tags)
    parts.append(b"}}}")
    return b"".join(parts)


def encode_patch(channel: str, publication: Publication, patch: bytes | None) -> bytes:
    """Return a publication as a push whose data is a text: what changed, or what was published."""
    push = encode_publication(channel, replace(publication, data=_quote(patch or publication.data)))
    return push if patch is None else b'%b,"delta":true}}}' % push[:-3]


def _quote(data: bytes) -> bytes:
    return _encode(data.decode())


@lru_cache(maxsize=4096)
def _encode_name(channel: str) -> bytes:
    return _encode(channel)


class _Native:
    """The two halves of the dialect, as `dialects.base` has them."""

    ping = PING
    pong = PONG
    name = "native"
    is_text = True
    publication = staticmethod(encode_publication)
    patch = staticmethod(encode_patch)
    push = staticmethod(encode_push)
    result = staticmethod(encode_result)
    error = staticmethod(encode_error)
    join = staticmethod(b"\n".join)

    @property
    def encoder(self) -> _Native:
        return self

    def disconnect(self, disconnect: Disconnect) -> bytes:
        """Return the last message where there is no close code to say why."""
        return b'{"push":{"disconnect":{"code":%d,"reason":%b}}}' % (disconnect.code, _encode(disconnect.reason))

    def read_error(self, message: bytes) -> ErrorCode | None:
        """Return None: a refusal is a reply, and the client may try again."""
        return None

    def decode(self, message: bytes, most: int) -> list[Command | FaultyCommand]:
        if message.count(b"\n") >= most:
            raise TooManyCommands("more commands in one message than a burst may have")
        return decode(message)


NATIVE: Final[StreamDialect] = _Native()
