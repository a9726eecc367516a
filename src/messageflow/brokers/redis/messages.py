"""What is announced in Redis, and what scripts answer: bytes to values. What lies in Redis is untrusted input.

Pure.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import msgspec

from messageflow.core.client_info import ClientInfo
from messageflow.core.protocol import Joined, Left
from messageflow.core.stream import Position, Publication

PUBLISHED, JOINED, LEFT = b"P", b"J", b"L"

encode_info = msgspec.json.Encoder().encode
_decode_info = msgspec.json.Decoder(ClientInfo).decode


class Garbage(ValueError):
    """It is not what messageflow writes."""


def read_published(message: bytes) -> tuple[str, Publication]:
    """Return the epoch and the publication of an announcement.

    Raises:
        Garbage: it is none.
    """
    head, separator, body = message[1:].partition(b"\n")
    try:
        epoch, offset, tag, time, info, tagged, *rare = head.decode("ascii").split(" ")
        exclude, flags = rare + ["", "0"][len(rare) :]
        info_end = int(info)
        tags_end = info_end + int(tagged)
        data, tags = body[tags_end:], body[info_end:tags_end]
        publication = Publication(int(offset), tag, float(time), data, body[:info_end], tags, exclude, int(flags))
    except ValueError as error:
        raise Garbage(f"an announcement that cannot be read: {error}") from None
    if not separator or not publication.data or publication.offset < 0 or not 0 <= info_end <= tags_end <= len(body):
        raise Garbage("an announcement that cannot be read")
    return epoch, publication


def encode_presence_push(push: Joined | Left) -> bytes:
    """Return a join or a leave as it is announced."""
    return (JOINED if isinstance(push, Joined) else LEFT) + encode_info(push.info)


def read_presence_push(message: bytes) -> Joined | Left:
    """Return the join or the leave that is announced.

    Raises:
        Garbage: it is none.
    """
    info = read_info(message[1:])
    return Joined(info) if message[:1] == JOINED else Left(info)


def read_info(data: bytes) -> ClientInfo:
    """Return a client that was entered into presence.

    Raises:
        Garbage: it is none.
    """
    try:
        return _decode_info(data)
    except msgspec.MsgspecError as error:
        raise Garbage(f"a client that cannot be read: {error}") from None


def read_entry(entry: Any) -> Publication:
    """Return the publication in an entry of a log, which keeps what was announced.

    Raises:
        Garbage: it is none.
    """
    try:
        identifier, (_, message) = entry
        offset = int(identifier.partition(b"-")[0])
        _, publication = read_published(message)
    except (ValueError, TypeError, AttributeError) as error:
        raise Garbage(f"an entry of a log that cannot be read: {error}") from None
    if publication.offset != offset:
        raise Garbage(f"an entry of a log that says {publication.offset} where {offset} should be")
    return publication


def chain_tag(tag: str, data: bytes) -> str:
    """Return the tag of a publication that follows one with this tag, as `publish.lua` makes it."""
    return sha1(tag.encode() + data, usedforsecurity=False).hexdigest()[:12]


def read_position(epoch: bytes, offset: bytes, tag: bytes) -> Position:
    """Return a position as scripts answer it.

    Raises:
        Garbage: it is none.
    """
    try:
        return Position(epoch.decode("ascii"), int(offset), tag.decode("ascii"))
    except (ValueError, AttributeError) as error:
        raise Garbage(f"a position that cannot be read: {error}") from None
