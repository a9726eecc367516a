"""The wire format of Protobuf: numbers, lengths, and what fields a message has. Knows no message of any protocol.

Pure.

Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

_VARINT, _LENGTH = 0, 2  # wire types
_SIZES: Final = {1: 8, 5: 4}  # of the others; groups, 3 and 4, are of Protobuf 1
_SMALL: Final = tuple(bytes((value,)) for value in range(128))
_LOWEST_KEY, _KEYS_END = 1 << 3, 1 << 32  # the numbers of fields are from 1 to 2**29 - 1
_MOST = 2**64


class UnreadableMessage(ValueError):
    """The bytes are no Protobuf message; the text says why."""


def number_key(number: int) -> int:
    """Return what stands before a field that is a number, or true or false."""
    return number << 3 | _VARINT


def delimited_key(number: int) -> int:
    """Return what stands before a field that has a length: a text, bytes, a message."""
    return number << 3 | _LENGTH


@lru_cache(maxsize=4096)
def write_varint(value: int) -> bytes:
    """Return a number of at most 64 bits."""
    value %= _MOST
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def delimit(message: bytes) -> bytes:
    """Return a message with its length before it, as it stands among others."""
    length = len(message)
    return (_SMALL[length] if length < 128 else write_varint(length)) + message


@cache
def _make_beginnings(number: int) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the key of a field, and with each length of one byte behind it."""
    key = write_varint(delimited_key(number))
    return key, tuple([key + length for length in _SMALL])


def make_delimiter(number: int, write: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return what writes a value with its key and its length before it."""
    key, begin = _make_beginnings(number)

    def write_field(value: Any) -> bytes:
        data = write(value)
        length = len(data)
        return (begin[length] if length < 128 else key + write_varint(length)) + data

    return write_field


def split(data: bytes, most: int) -> list[bytes]:
    """Return the messages that stand one after the other, each with its length before it; one more than `most` at most.

    Raises:
        UnreadableMessage: the last one is cut off.
    """
    messages: list[bytes] = []
    at, end = 0, len(data)
    while at < end and len(messages) <= most:
        length, start = data[at], at + 1
        if length > 127:
            length, start = _read_varint(data, at)
        at = start + length
        messages.append(data[start:at])
    if at > end:
        raise UnreadableMessage("a message is cut off")
    return messages


class Field(NamedTuple):
    """Where the value of a field goes.

    Args:
        name: of the field.
        read: makes the value of what is there.
        add: puts it to those that came before, None for the first; without this it takes the place of one before.
    """

    name: str
    read: Callable[[Any], Any]
    add: Callable[[Any, Any], Any] | None = None


def read_fields(fields: Mapping[int, Field], message: bytes) -> dict[str, Any]:
    """Return the values of those fields that are known.

    Args:
        fields: by their keys, which are number and wire type.
        message: without its length.

    Raises:
        UnreadableMessage: it is none.
    """
    found: dict[str, Any] = {}
    at, end = 0, len(message)
    try:
        while at < end:
            # Most numbers have one byte: read here, a subscribe takes a sixth less (benchmarks: protobuf).
            key: int = message[at]
            at += 1
            if key > 127:
                key, at = _read_varint(message, at - 1)
            wire_type = key & 7
            value: Any = None
            if wire_type in (_LENGTH, _VARINT):
                value = message[at]
                at += 1
                if value > 127:
                    value, at = _read_varint(message, at - 1)
            if wire_type == _LENGTH:
                start, at = at, at + value
                value = message[start:at]
            elif wire_type != _VARINT:
                at += _measure_fixed(wire_type)
            if at > end:
                raise UnreadableMessage("a field is cut off")
            field = fields.get(key)
            if field is not None:
                name, read, add = field
                found[name] = read(value) if add is None else add(found.get(name), read(value))
            elif not _LOWEST_KEY <= key < _KEYS_END:
                raise UnreadableMessage("a field has a number that none can have")
    except IndexError:
        raise UnreadableMessage("a field is cut off") from None
    return found


def _measure_fixed(wire_type: int) -> int:
    """Return how many bytes a value has that nothing is done with."""
    if wire_type not in _SIZES:
        raise UnreadableMessage(f"wire type {wire_type}")
    return _SIZES[wire_type]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins there, and where what follows it begins."""
    value = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
            if shift > 63:
                break
    except IndexError:
        raise UnreadableMessage("a number is cut off") from None
    if value >= _MOST or byte > 127:
        raise UnreadableMessage("a number of more than 64 bits")
    return value, at
