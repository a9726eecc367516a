"""The body of an HTTP/1.1 request: where it ends among the bytes that come, and what is in it.

Pure. Source: RFC 9112 §6, §7.1.
"""

from __future__ import annotations

import re

from messageflow.gateway.front_door.head import CHUNKED, BadRequest

LINE_BYTES = 1024  # of the line before a chunk
EXTENSION_BYTES = 16_384  # of all extensions of a body's chunks, which nobody reads
TRAILER_BYTES = 8192

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*")
_INVALID = "The body of the request is not in order."


class Counted:
    """A body of a length that is known.

    Attributes:
        left: bytes that are still to come.
        done: whether it has ended.
    """

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left: float = length
        self.done = not length

    def take(self, data: bytes) -> tuple[bytes, int]:
        """Return what of these bytes is content, and how many of them are the body's."""
        content = data if len(data) <= self.left else data[: int(self.left)]
        self.left -= len(content)
        self.done = not self.left
        return content, len(content)


class Chunked:
    """A body in chunks, each with its size, and trailers after the last, which nobody reads.

    Attributes:
        left: bytes that are still to come, which nobody knows.
        done: whether it has ended.
    """

    __slots__ = ("_expects", "_extensions", "_left", "_line", "_trailers", "done")

    left = float("inf")

    def __init__(self) -> None:
        self.done = False
        self._left = 0  # bytes of the chunk
        self._line = b""  # that has begun
        self._expects = Chunked._take_size
        self._extensions = 0
        self._trailers = 0

    def take(self, data: bytes) -> tuple[bytes, int]:
        """Return what of these bytes is content, and how many of them are the body's.

        Raises:
            BadRequest: they are no such body.
        """
        content, at = [], 0
        while at < len(data) and not self.done:
            if self._left:
                piece = data[at : at + self._left]
                content.append(piece)
                self._left -= len(piece)
                at += len(piece)
            else:
                at = self._take_line(data, at)
        return b"".join(content), at

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        line = self._line + data[at : end + 1 or None]
        if len(line) > LINE_BYTES:
            raise BadRequest(400, _INVALID)
        if end < 0:
            self._line = line
            return len(data)
        self._line = b""
        if not line.endswith(b"\r\n"):
            raise BadRequest(400, _INVALID)
        self._expects(self, line[:-2])
        return end + 1

    def _take_size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise BadRequest(400, _INVALID)
        self._extensions += len(match[2] or b"")
        if self._extensions > EXTENSION_BYTES:
            raise BadRequest(400, _INVALID)
        self._left = int(match[1], 16)
        self._expects = Chunked._end_chunk if self._left else Chunked._take_trailer

    def _end_chunk(self, line: bytes) -> None:
        if line:
            raise BadRequest(400, _INVALID)
        self._expects = Chunked._take_size

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._trailers += len(line)
        if self._trailers > TRAILER_BYTES or not _TRAILER.fullmatch(line):
            raise BadRequest(400, _INVALID)


def body_of(length: int) -> Counted | Chunked:
    """Return the body of a request whose head says this length."""
    return Chunked() if length == CHUNKED else Counted(length)
