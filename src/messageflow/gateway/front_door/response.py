"""The answer to an HTTP/1.1 request, as a value and as bytes.

Pure. Source: RFC 9112 §4, §6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"
JSON = b"application/json"

_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
_BODILESS = frozenset((204, 304))
_USUAL = b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n%b"


class HttpResponse(NamedTuple):
    """What is answered.

    Args:
        status: its code.
        headers: of its own; how long it is and whether the connection stays is added.
        body: all of it.
        kind: its media type; none is said of an empty body.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""
    kind: bytes = TEXT

    def encode(self, common: bytes, *, close: bool, without_body: bool = False) -> bytes:
        """Return the bytes.

        Args:
            common: the header lines of every answer.
            close: whether the connection ends with it.
            without_body: whether it answers a HEAD.
        """
        status, headers, body, kind = self
        if body and not (headers or close or without_body or status in _BODILESS):  # 2 µs less (benchmarks: push)
            return _USUAL % (_LINES[status], common, kind, len(body), body)
        parts = [_LINES[status], common]
        if body:
            parts.append(b"content-type: %b\r\n" % kind)
        if status not in _BODILESS:
            parts.append(b"content-length: %d\r\n" % len(body))
        parts += [b"%b: %b\r\n" % header for header in headers]
        parts.append(b"connection: close\r\n\r\n" if close else b"\r\n")
        if not (without_body or status in _BODILESS):
            parts.append(body)
        return b"".join(parts)
