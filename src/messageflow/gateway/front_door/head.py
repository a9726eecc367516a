"""The head of an HTTP/1.1 request: bytes in, what it asks for and how long its body is out, or why it is none.

The grammar is `httptools`'; a head that is written as nearly all are is read without it, and Hypothesis compares the
two. What decides where a request ends is decided here as well, so that no version of a library and no leniency of it
can make two readers of one connection see two different requests (request smuggling): each line ends with CRLF, none is
folded, and a body has one length.

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
_OF_THE_BODY = frozenset((b"content-length", b"transfer-encoding", b"expect"))
_INVALID = "Invalid HTTP request received."
_NO_HOST = "A request of HTTP/1.1 says for which host it is: send the header Host."

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 §5.6.2
_PLAIN_REQUEST = re.compile(
    rb"(GET|POST|HEAD|PUT|PATCH|DELETE) ((/[!$-;=@-Z_a-z~]*)(?:\?[!$-;=?-Z_a-z~]*)?) HTTP/1\.1\r\n"
)
_PLAIN_HEADER = re.compile(rb"(?<=\n)(" + _TOKEN + rb"): ?([!-~](?:[ -~]*[!-~])?)\r\n")  # always a whole line


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

    Args:
        raw: as it came.
        method: such as GET.
        version: 1.0 or 1.1.
        target: a path with its query, an absolute address, an authority or a star.
        headers: in their order, names in lower case.

    Attributes:
        fields: the headers by name; of one that stands several times all that it says, with commas (RFC 9110 §5.3).
        path: without query, as it was written, percent-encoded or not.
        length: bytes of the body, or CHUNKED.
        keep_alive: whether the connection stays after the answer.
        upgrade: the protocols offered in its place, in lower case; empty where none is.
        expects_continue: whether the body waits for a word of ours.
        call: the method of the API that it calls, once it is known that whoever sent it may; see `KnownCalls`.
    """

    __slots__ = (
        "call",
        "expects_continue",
        "fields",
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

    def __init__(self, raw: bytes, method: bytes, version: str, target: bytes, headers: Headers) -> None:
        self.raw = raw
        self.method = method
        self.version = version
        self.target = target
        self.headers = headers
        self.fields = dict(headers)
        if len(self.fields) != len(headers):
            self.fields = _join_repeated(headers)
        self.path = b""
        self.length = 0
        self.keep_alive = version == "1.1"
        self.upgrade = b""
        self.expects_continue = False
        self.call: bytes | None = None


def _join_repeated(headers: Headers) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = fields[name] + b", " + value if name in fields else value
    return fields


def parse_head(data: bytes) -> Head:
    """Return the head that these bytes are.

    Args:
        data: from the first byte of the request line to the empty line, which is in it.

    Raises:
        BadRequest: they are none.
    """
    head = read_plain(data)
    if head is not None:
        _read_fields(head)
        return head
    head = read_any(data)
    _read_fields(head)
    _read_target(head)
    return head


def read_plain(data: bytes) -> Head | None:
    """Return a head that is written as nearly all are, None for any other, right or wrong.

    Two searches in place of a parser and a call for each header: 10 µs of a connect's 300 (benchmarks: connect).
    """
    first = _PLAIN_REQUEST.match(data)
    if first is None:
        return None
    start = first.end()
    headers = [(name.lower(), value) for name, value in _PLAIN_HEADER.findall(data, start)]
    if len(headers) != data.count(b"\n", start) - 1:
        return None
    head = Head(data, first[1], "1.1", first[2], headers)
    head.path = first[3]
    return None if b"transfer-encoding" in head.fields else head  # of its grammar the library knows more


class _Parts:
    """What the library's parser finds."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: Headers = []

    def on_url(self, url: bytes) -> None:
        """Take the target, or a piece of it."""
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self.headers.append((name.lower(), value))


def read_any(data: bytes) -> Head:
    """Return any head.

    Raises:
        BadRequest: it is none.
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
    parts = _Parts()
    try:
        httptools.HttpRequestParser(parts).feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # whether it is taken is not the parser's to say
    except httptools.HttpParserError:
        raise BadRequest(400, _INVALID) from None
    return Head(data, words[0], version, parts.target, parts.headers)


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
    head.fields[b"host"] = host
    return rest[end:] if rest[end : end + 1] == b"/" else b"/" + rest[end:]


def _read_fields(head: Head) -> None:
    """Read what is said of the message itself."""
    fields, version = head.fields, head.version
    if b"host" not in fields:
        if version == "1.1":
            raise BadRequest(400, _NO_HOST)  # RFC 9112 §3.2
    elif len(fields) != len(head.headers) and [name for name, _ in head.headers].count(b"host") > 1:
        raise BadRequest(400, _INVALID)  # RFC 9112 §3.2: whoever stands before us may have believed the other one
    said = fields.get(b"connection")
    if said is not None:
        options = said.lower().replace(b" ", b"").replace(b"\t", b"").split(b",")
        if b"close" in options:
            head.keep_alive = False
        if b"upgrade" in options and version == "1.1":
            head.upgrade = fields.get(b"upgrade", b"").strip().lower().replace(b", ", b",")
    if _OF_THE_BODY.isdisjoint(fields):
        return
    if b"expect" in fields and version == "1.1":
        head.expects_continue = fields[b"expect"].rpartition(b",")[2].strip().lower() == b"100-continue"
    length, codings = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if length is not None or codings is not None:
        head.length = _length(length, codings, version)


def _length(length: bytes | None, codings: bytes | None, version: str) -> int:
    """Return the length of the body. Source: RFC 9112 §6.3, and of what it leaves open the strict way."""
    if codings is not None:
        if length is not None or version == "1.0":
            raise BadRequest(400, _INVALID)
        if codings.strip().lower() != b"chunked":
            raise BadRequest(501, "No transfer coding but chunked is understood here.")
        return CHUNKED
    if length is None or not _LENGTH.fullmatch(length.strip()):  # also where there are several, of whatever size
        raise BadRequest(400, _INVALID)
    return int(length)
