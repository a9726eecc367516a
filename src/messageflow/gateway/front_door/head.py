"""The head of an HTTP/1.1 request: bytes in, what it asks for and how long its body is out, or why it is none.

The grammar is `httptools`'. What decides where a request ends is decided here as well, so that no version of a library
and no leniency of it can make two readers of one connection see two different requests (request smuggling): each line
ends with CRLF, none is folded, and a body has one length.

Pure. Source: RFC 9112 §2–§7; RFC 9110 §7.8.
"""

from __future__ import annotations

import re

import httptools

from messageflow.errors import Picklable

CHUNKED = -1
"""The length of a body that says only at its end that it has ended."""

Headers = list[tuple[bytes, bytes]]

_LENGTH = re.compile(rb"[0-9]{1,18}")
_VERSIONS = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}
_INVALID = "Invalid HTTP request received."


class BadRequest(Picklable, Exception):
    """What came is no request that can be answered otherwise.

    Args:
        status: to answer.
        reason: for the sender.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class Head:
    """What a request asks for.

    Attributes:
        method: such as GET.
        raw: as it came.
        target: of it: a path with its query, an absolute address, an authority or a star.
        path: without query, as it was written, percent-encoded or not.
        version: 1.0 or 1.1.
        headers: in their order, names in lower case.
        length: bytes of the body, or CHUNKED.
        keep_alive: whether the connection stays after the answer.
        upgrade: the protocols offered in its place, in lower case; empty where none is.
        expects_continue: whether the body waits for a word of ours.
        call: the method of the API that it calls, once it is known that whoever sent it may; see `KnownCalls`.
    """

    __slots__ = (
        "call",
        "expects_continue",
        "headers",
        "keep_alive",
        "length",
        "method",
        "path",
        "raw",
        "target",
        "upgrade",
        "version",
    )

    def __init__(self, raw: bytes, method: bytes, version: str) -> None:
        self.raw = raw
        self.method = method
        self.version = version
        self.target = b""
        self.path = b""
        self.headers: Headers = []
        self.length = 0
        self.keep_alive = version == "1.1"
        self.upgrade = b""
        self.expects_continue = False
        self.call: bytes | None = None

    def on_url(self, url: bytes) -> None:
        """Take the target, as the parser found it."""
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header, as the parser found it."""
        self.headers.append((name.lower(), value))


def parse_head(data: bytes) -> Head:
    """Return the head that these bytes are.

    Args:
        data: from the first byte of the request line to the empty line, which is in it.

    Raises:
        BadRequest: they are none.
    """
    lines = data.count(b"\r\n")
    if data.count(b"\n") != lines or data.count(b"\r") != lines or b"\n " in data or b"\n\t" in data:
        raise BadRequest(400, _INVALID)  # RFC 9112 §2.2, §5.2: a bare LF or CR, or a line that is folded
    words = data[: data.index(b"\r\n")].split(b" ")
    if len(words) != 3:
        raise BadRequest(400, _INVALID)
    version = _VERSIONS.get(words[2])
    if version is None:
        raise BadRequest(*((505, "HTTP/1.1 is spoken here.") if words[2].startswith(b"HTTP/") else (400, _INVALID)))
    head = Head(data, words[0], version)
    try:
        httptools.HttpRequestParser(head).feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # whether it is taken is not the parser's to say
    except httptools.HttpParserError:
        raise BadRequest(400, _INVALID) from None
    _read_headers(head)
    _read_target(head)
    return head


def _read_target(head: Head) -> None:
    target = head.target
    if not target.startswith(b"/"):
        target = _origin_form(head, target)
    path = target.partition(b"?")[0]
    head.path = path.partition(b"#")[0] if b"#" in path else path


def _origin_form(head: Head, target: bytes) -> bytes:
    """Return path and query of an absolute address, whose host counts and not the header (RFC 9112 §3.2.2)."""
    _, mark, rest = target.partition(b"://")
    if not mark:
        return target  # a star, or of CONNECT an authority
    end = next((at for at, byte in enumerate(rest) if byte in b"/?#"), len(rest))
    host = rest[:end].rpartition(b"@")[2]
    head.headers[:] = [(b"host", host), *(header for header in head.headers if header[0] != b"host")]
    return rest[end:] if rest[end : end + 1] == b"/" else b"/" + rest[end:]


def _read_headers(head: Head) -> None:
    """Read what is said of the message itself."""
    options: list[bytes] = []
    lengths: list[bytes] = []
    codings: list[bytes] = []
    offers: list[bytes] = []
    hosts = 0
    for name, value in head.headers:
        if name == b"host":
            hosts += 1
        elif name == b"connection":
            options += value.lower().replace(b" ", b"").replace(b"\t", b"").split(b",")
        elif name == b"upgrade":
            offers.append(value.strip().lower())
        elif name == b"content-length":
            lengths.append(value.strip())
        elif name == b"transfer-encoding":
            codings.append(value.strip().lower())
        elif name == b"expect":
            head.expects_continue = value.strip().lower() == b"100-continue" and head.version == "1.1"
    if hosts > 1:
        raise BadRequest(400, _INVALID)  # RFC 9112 §3.2: whoever stands before us may have believed the other one
    if b"close" in options:
        head.keep_alive = False
    if offers and b"upgrade" in options and head.version == "1.1":
        head.upgrade = b",".join(offers)
    if lengths or codings:
        head.length = _length(lengths, codings, head.version)


def _length(lengths: list[bytes], codings: list[bytes], version: str) -> int:
    """Return the length of the body. Source: RFC 9112 §6.3, and of what it leaves open the strict way."""
    if codings:
        if lengths or version == "1.0":
            raise BadRequest(400, _INVALID)
        if codings != [b"chunked"]:
            raise BadRequest(501, "No transfer coding but chunked is understood here.")
        return CHUNKED
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        raise BadRequest(400, _INVALID)
    return int(lengths[0])
