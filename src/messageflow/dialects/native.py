"""The native dialect: the Centrifuge JSON protocol, as bytes to commands and replies and pushes to bytes.

One text holds one or more JSON objects joined by newlines, both ways. Nothing here knows sockets, frames or sessions.

Source: reference/native-protocol.md §2.1, §2.2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from messageflow.core.codes import ErrorCode
from messageflow.core.json import UnsafeJSON, check_untrusted
from messageflow.core.protocol import (
    Command,
    Joined,
    Left,
    Push,
    Refreshed,
    Result,
    Subscribed,
    Unsubscribed,
)
from messageflow.core.stream import Publication

PING: Final = b"{}"
PONG: Final = b"{}"

_decode = msgspec.json.Decoder(Command).decode
_encode = msgspec.json.Encoder().encode

_KINDS: Final = {
    Joined: b"join",
    Left: b"leave",
    Unsubscribed: b"unsubscribe",
    Subscribed: b"subscribe",
    Refreshed: b"refresh",
}


class MalformedCommand(ValueError):
    """The text is not a sequence of commands; the message says why, for the log."""


def decode(text: bytes) -> list[Command]:
    """Return the commands in `text`, in order.

    Raises:
        MalformedCommand: one of them is not UTF-8, not JSON, too deep, ambiguous, or of the wrong shape.
    """
    lines = [line for line in text.split(b"\n") if line]
    if not lines:
        raise MalformedCommand("an empty frame")
    try:
        return [_command(line) for line in lines]
    except (UnsafeJSON, msgspec.MsgspecError, RecursionError) as error:
        raise MalformedCommand(str(error)) from None


def _command(line: bytes) -> Command:
    check_untrusted(line)
    return _decode(line)


def encode_result(command_id: int, method: str, result: Result) -> bytes:
    """Return the reply to a command that was carried out."""
    return b'{"id":%d,"%b":%b}' % (command_id, method.encode(), _encode(result))


def encode_error(command_id: int, error: ErrorCode) -> bytes:
    """Return the reply to a command that was refused."""
    temporary = b',"temporary":true' if error.temporary else b""
    return b'{"id":%d,"error":{"code":%d,"message":%b%b}}' % (command_id, error.code, _encode(error.message), temporary)


def encode_push(channel: str, push: Push) -> bytes:
    """Return an unasked message about a channel; an empty channel name stands for the connection itself."""
    named = b'"channel":%b,' % _name(channel) if channel else b""
    return b'{"push":{%b"%b":%b}}' % (named, _KINDS[type(push)], _encode(push))


def encode_publication(channel: str, publication: Publication) -> bytes:
    """Return a publication as a push. Its data goes through as it came."""
    offset, tag, _, data, info, tags = publication
    parts = [b'{"push":{"channel":', _name(channel), b',"pub":{"data":', data]
    if info:
        parts += (b',"info":', info)
    if offset:
        parts.append(b',"offset":%d,"tag":"%b"' % (offset, tag.encode()))
    if tags:
        parts += (b',"tags":', tags)
    parts.append(b"}}}")
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _name(channel: str) -> bytes:
    return _encode(channel)
