"""A toy dialect of words and JSON: `3 subscribe {...}` comes in, `did 3 subscribe {...}` goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from messageflow.core.codes import ErrorCode
from messageflow.core.json import UnsafeJSON, check_untrusted
from messageflow.core.protocol import METHODS, Command, FaultyCommand, Push, Result
from messageflow.core.stream import Publication
from messageflow.dialects.base import MalformedMessage, TooManyCommands
from messageflow.testing.memory_connection import Carrier

encode = msgspec.json.encode


class ToyDialect:
    """A `dialects.base.Dialect` and its encoder."""

    name = "toy"
    is_text = True
    ping = b"?"
    pong = b"!"

    @property
    def encoder(self) -> ToyDialect:
        return self

    def decode(self, message: bytes, most: int) -> list[Command | FaultyCommand]:
        lines = message.split(b"\n")
        if len(lines) > most:
            raise TooManyCommands("more lines than there may be")
        return [self._command(line) for line in lines]

    def _command(self, line: bytes) -> Command | FaultyCommand:
        number, _, rest = line.partition(b" ")
        method, _, fields = rest.partition(b" ")
        if not number.isdigit() or method.decode(errors="replace") not in METHODS:
            raise MalformedMessage("a line that is no command")
        try:
            check_untrusted(fields)
            return msgspec.json.decode(b'{"id":%b,"%b":%b}' % (number, method, fields), type=Command)
        except (UnsafeJSON, msgspec.MsgspecError) as error:
            return FaultyCommand(int(number), method.decode(), str(error))

    def publication(self, channel: str, publication: Publication) -> bytes:
        parts = (publication.data, publication.info or b"null", publication.tags or b"null")
        position = b"%d,%b" % (publication.offset, encode(publication.tag))
        return b"publication %b [%b,%b]" % (encode(channel), position, b",".join(parts))

    def push(self, channel: str, push: Push) -> bytes:
        return b"note %b [%b,%b]" % (encode(channel), encode(type(push).__name__), encode(push))

    def result(self, command_id: int, method: str, result: Result) -> bytes:
        return b"did %d %b %b" % (command_id, method.encode(), encode(result))

    def error(self, command_id: int, error: ErrorCode) -> bytes:
        return b"no %d %b" % (command_id, encode([error.code, error.message, error.temporary]))

    def join(self, messages: Sequence[bytes]) -> bytes:
        return b"\n".join(messages)


# The client's side

KINDS = {
    "Joined": "join",
    "Left": "leave",
    "Unsubscribed": "unsubscribe",
    "Subscribed": "subscribe",
    "Refreshed": "refresh",
    "Moved": "moved",
}


def write(commands: Sequence[dict[str, Any]]) -> bytes:
    lines = []
    for command in commands:
        method, *others = command.keys() - {"id"}
        lines.append(
            b"no such line"
            if others
            else b"%d %b %b" % (command.get("id", 0), method.encode(), encode(command[method]))
        )
    return b"\n".join(lines)


def read(data: bytes) -> list[dict[str, Any]]:
    return [_message(*line.split(b" ", 2)) for line in data.splitlines()]


def _message(word: bytes, first: bytes, rest: bytes) -> dict[str, Any]:
    if word == b"did":
        method, _, result = rest.partition(b" ")
        return {"id": int(first), method.decode(): msgspec.json.decode(result)}
    found = msgspec.json.decode(rest)
    if word == b"no":
        code, message, temporary = found
        return {
            "id": int(first),
            "error": {"code": code, "message": message} | ({"temporary": True} if temporary else {}),
        }
    channel = msgspec.json.decode(first)
    named = {"channel": channel} if channel else {}
    if word == b"note":
        kind, push = found
        return {"push": named | {KINDS[kind]: push}}
    offset, tag, payload, info, tags = found
    publication = {"data": payload} | ({"offset": offset, "tag": tag} if offset else {})
    return {"push": named | {"pub": publication | ({"info": info} if info else {}) | ({"tags": tags} if tags else {})}}


CARRIER = Carrier(ToyDialect(), write=write, read=read)
