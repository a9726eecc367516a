"""Bytes that are no JSON as JSON, for all that only carries JSON: `{"$bytes":"…"}` with base64.

Pure.
"""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from typing import Final

from messageflow.core.json import UnsafeJSON, check_readable, check_utf8

_BEGIN: Final = b'{"$bytes":"'
_END: Final = b'"}'


def wrap(data: bytes) -> bytes:
    """Return bytes as JSON: themselves where they are JSON that every receiver can read."""
    try:
        check_utf8(data)
        check_readable(data)
    except UnsafeJSON:
        return b"%b%b%b" % (_BEGIN, b2a_base64(data, newline=False), _END)
    return data


def is_wrapped(data: bytes) -> bool:
    """Whether this looks as what `wrap` makes of bytes that are no JSON, so that readers may have it as either."""
    return data.startswith(_BEGIN)


def unwrap(data: bytes) -> bytes:
    """Return the bytes of which `wrap` made JSON; JSON of anybody else is what it is."""
    if not data.startswith(_BEGIN) or not data.endswith(_END):
        return data
    try:
        return a2b_base64(data[len(_BEGIN) : -len(_END)], strict_mode=True)
    except Error:
        return data
