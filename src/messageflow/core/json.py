"""JSON that is safe to pass on: well-formed, of bounded depth, on one line, without duplicate keys.

Payloads travel undecoded, so whatever is wrong with one would be met by every receiver; it is refused where it enters.

Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

import msgspec

MAX_DEPTH: Final = 32

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class UnsafeJSON(ValueError):
    """JSON that is malformed, too deep, ambiguous or not UTF-8; the message says which."""


def compact(data: bytes) -> bytes:
    """Return `data` without line breaks: a raw newline would break the framing of the native protocol."""
    return msgspec.json.format(data, indent=-1) if b"\n" in data or b"\r" in data else data


def check_utf8(data: bytes) -> str:
    """Return `data` as text, or refuse what is not UTF-8.

    Raises:
        UnsafeJSON: it says where.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UnsafeJSON(f"not UTF-8 at byte {error.start}") from None


def check_depth(data: bytes) -> None:
    """Refuse what nests deeper than `MAX_DEPTH`.

    Raises:
        UnsafeJSON: it does.
    """
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and depth(data) > MAX_DEPTH:
        raise UnsafeJSON(f"nested deeper than {MAX_DEPTH} levels")


def check_untrusted(data: bytes) -> None:
    """Refuse malformed JSON, and JSON that is not UTF-8, too deep, names a key twice or holds NaN or an infinity.

    Raises:
        UnsafeJSON: it says why.
    """
    text = check_utf8(data)
    check_depth(data)
    try:
        _strict(text)
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, UnsafeJSON) else UnsafeJSON(f"not JSON: {error}") from None


def depth(data: bytes) -> int:
    """Return how deep arrays and objects nest in `data`, well-formed or not."""
    level = deepest = 0
    for byte in _STRING.sub(b"", data):
        if byte in b"{[":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"}]":
            level -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise UnsafeJSON("an object names the same key twice")


def _refuse_constant(name: str) -> NoReturn:
    raise UnsafeJSON(f"{name} is not JSON")


# One decoder for all: making one costs more than a small command takes to parse (benchmarks: connect).
_strict = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant).decode
