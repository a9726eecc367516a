"""JSON that is safe to pass on: well-formed, of bounded depth, on one line, without duplicate keys.

Payloads travel undecoded, so whatever is wrong with one would be met by every receiver; it is refused where it enters.

Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from itertools import accumulate
from typing import Any, Final, NoReturn

import msgspec

MAX_DEPTH: Final = 32  # of a payload, whichever way it comes
PLAIN_BYTES: Final = 4096  # fewer than a number may have digits
OPAQUE: Final = frozenset(("data", "payload", "params", "info", "tags", "commands"))  # holds JSON that is not ours
ENVELOPE_DEPTH: Final = 2  # a client's command is an object that holds one for its method

_NEWLINE, _RETURN = b"\n\r"  # as numbers, which are looked for in a tenth of the time (benchmarks: push)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte not in b"\\{[")  # printable, and says nothing of depth
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = [1 if byte in b"[{" else -1 for byte in range(256)]


class UnsafeJSON(ValueError):
    """JSON that is malformed, too deep, ambiguous or not UTF-8; the message says which."""


def check_readable(data: bytes) -> None:
    """Refuse JSON that some receiver could not read: too deep, half characters, numbers larger than any.

    Raises:
        UnsafeJSON: it says why.
    """
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        check_depth(data)
    try:
        _read(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnsafeJSON(explain(data, error)) from None


def explain(data: bytes, error: Exception) -> str:
    """Return in a sentence what is wrong with JSON that could not be read."""
    text = str(error)
    if "surrogate" in text or ("truncated" in text and b"\\u" in data):
        return "a text was cut in the middle of a character (half of a surrogate pair): cut between characters"
    if "out of range" in text or "digits" in text:
        return "a number is larger than any receiver can read: send it as a string"
    return text


def compact(data: bytes) -> bytes:
    """Return `data` without line breaks: a raw newline would break the framing of the native protocol."""
    return msgspec.json.format(data, indent=-1) if _NEWLINE in data or _RETURN in data else data


def drop_nulls(data: bytes, levels: int = 4) -> bytes:
    """Return an object without the fields that are null, which is how some languages write what they leave out.

    What lies in a field of OPAQUE is the application's, and stays as it is; so does what is no object.

    Args:
        data: JSON.
        levels: how deep to look; a position of a channel in a connect, the deepest that we read, is on the fourth.

    Raises:
        msgspec.MsgspecError: it is not JSON.
    """
    if not levels or b"null" not in data or not data.lstrip().startswith(b"{"):
        return data
    fields = _read_fields(data)
    kept = {
        name: value if name in OPAQUE else msgspec.Raw(drop_nulls(bytes(value), levels - 1))
        for name, value in fields.items()
        if name in OPAQUE or bytes(value) != b"null"
    }
    return msgspec.json.encode(kept)


def check_utf8(data: bytes) -> str:
    """Return `data` as text, or refuse what is not UTF-8.

    Raises:
        UnsafeJSON: it says where.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UnsafeJSON(f"not UTF-8 at byte {error.start}") from None


def check_depth(data: bytes, most: int = MAX_DEPTH) -> None:
    """Refuse what nests deeper than `most`.

    Raises:
        UnsafeJSON: it does.
    """
    if data.count(b"{") + data.count(b"[") > most and any(level > most for level in _measure_levels(data)):
        raise UnsafeJSON(f"nested deeper than {MAX_DEPTH} levels")


def check_untrusted(data: bytes) -> None:
    """Refuse a command that is malformed JSON, not UTF-8, too deep, ambiguous, or holds NaN or an infinity.

    It is ambiguous when it, or what it says of its method, names a key twice. Data within may: receivers take the last.

    Raises:
        UnsafeJSON: it says why.
    """
    text = check_utf8(data)
    check_depth(data, MAX_DEPTH + ENVELOPE_DEPTH)
    try:
        if _strict(text) in (_Keys.TWICE, _Keys.TWICE_WITHIN):
            raise UnsafeJSON("a command names the same key twice")
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, UnsafeJSON) else UnsafeJSON(f"not JSON: {error}") from None


def is_surely_unambiguous(data: bytes) -> bool:
    """Whether JSON, if it is any, passes `check_untrusted`, as far as that shows without reading it.

    A short line of plain characters in which no string stands twice names no key twice. That is what nearly all
    commands are: 6 µs less for each (benchmarks: connect).
    """
    special = data.translate(None, _PLAIN)
    if len(data) > PLAIN_BYTES or len(special) > MAX_DEPTH or special.strip(b"{["):
        return False
    strings = data.split(b'"')[1::2]
    return len(set(strings)) == len(strings)


def _measure_levels(data: bytes) -> Iterator[int]:
    """Yield how many brackets are open after each bracket; four times as fast as a loop over the bytes."""
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    return accumulate(map(_STEPS.__getitem__, brackets))


class _Keys(Enum):
    """What is known of the keys of an object that was read."""

    UNIQUE = "no key twice in it, nor in an object that is a value of it"
    TWICE = "a key twice in it"
    TWICE_WITHIN = "a key twice in an object that is a value of it"


def _check_keys(pairs: list[tuple[str, Any]]) -> _Keys:
    if len({key for key, _ in pairs}) != len(pairs):
        return _Keys.TWICE
    for _, value in pairs:
        if value is _Keys.TWICE:
            return _Keys.TWICE_WITHIN
    return _Keys.UNIQUE


def _refuse_constant(name: str) -> NoReturn:
    raise UnsafeJSON(f"{name} is not JSON")


# One decoder for all: making one costs more than a small command takes to parse (benchmarks: connect).
_strict = json.JSONDecoder(object_pairs_hook=_check_keys, parse_constant=_refuse_constant).decode
_read = msgspec.json.Decoder().decode
_read_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
