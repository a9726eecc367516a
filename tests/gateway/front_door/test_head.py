"""Heads of requests, to the letter: what is taken, what is refused, and where the body is said to end."""

from __future__ import annotations

from typing import Any

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messageflow.gateway.front_door.head import CHUNKED, BadRequest, parse_head, read_any, read_plain


def head(*lines: str, first: str = "POST /a?b=c HTTP/1.1") -> bytes:
    return "\r\n".join((first, *lines, "", "")).encode("latin-1")


def refused(data: bytes) -> int:
    with pytest.raises(BadRequest) as error:
        parse_head(data)
    return error.value.status


def test_a_request_says_what_it_asks_for() -> None:
    found = parse_head(head("Host: here", "X-Some:  thing", "Content-Length: 12"))
    assert (found.method, found.target, found.path, found.version) == (b"POST", b"/a?b=c", b"/a", "1.1")
    assert found.headers == [(b"host", b"here"), (b"x-some", b"thing"), (b"content-length", b"12")]
    assert (found.length, found.keep_alive, found.upgrade, found.expects_continue) == (12, True, b"", False)


@pytest.mark.parametrize(
    "data",
    [
        head("Host: here", " folded"),
        head("Host: here", "\tfolded"),
        head("A: b", " Content-Length: 5"),
        head(" Host: here"),
        b"GET / HTTP/1.1\nHost: here\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\rContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\r\r\n\r\n",
        head("Host : here"),
        head("Ho st: here"),
        head(": here"),
        head("Host"),
        head("Host: he\x00re"),
        head("H\x00ost: here"),
        head("Host: he\x01re"),
        head(first="GET  / HTTP/1.1"),
        head(first="GET / HTTP/1.1 "),
        head(first=" GET / HTTP/1.1"),
        head(first="GET\t/ HTTP/1.1"),
        head(first="GET /"),
        head(first="GET / http/1.1"),
        head(first="get / HTTP/1.1"),
        head(first="NOTHING / HTTP/1.1"),
        head(first="GET a HTTP/1.1"),
        head(first="GET /\xff HTTP/1.1"),
    ],
)
def test_what_is_not_written_as_it_must_be_is_refused(data: bytes) -> None:
    assert refused(data) == 400


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5, 5",),
        ("Content-Length: +5",),
        ("Content-Length: -5",),
        ("Content-Length: 0x5",),
        ("Content-Length: 5 5",),
        ("Content-Length:",),
        ("Content-Length: " + "9" * 30,),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: identity, chunked, identity",),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding:\x0bchunked",),
        ("Transfer-Encoding: chunked\x00",),
    ],
)
def test_a_body_whose_end_two_readers_could_see_in_two_places_is_refused(lines: tuple[str, ...]) -> None:
    assert refused(head("Host: here", *lines)) == 400


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip,chunked"])
def test_a_coding_that_is_not_understood_is_said_to_be_so(coding: str) -> None:
    assert refused(head("Host: here", f"Transfer-Encoding: {coding}")) == 501


def test_codings_in_several_headers_are_one_list() -> None:
    with pytest.raises(BadRequest):
        parse_head(head("Host: here", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"))
    with pytest.raises(BadRequest):
        parse_head(head("Host: here", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"))


def test_chunks_are_of_the_newer_version_alone() -> None:
    assert parse_head(head("Host: here", "Transfer-Encoding: Chunked")).length == CHUNKED
    assert refused(head("Transfer-Encoding: chunked", first="POST / HTTP/1.0")) == 400


@pytest.mark.parametrize("second", ["Host: here", "host: there", "HOST:"])
def test_two_readers_could_believe_two_hosts(second: str) -> None:
    assert refused(head("Host: here", second)) == 400
    assert refused(head("Host: here", second, first="GET http://here/ HTTP/1.1")) == 400


@pytest.mark.parametrize("lines", [(), ("X-Host: here",), ("Content-Length: 5",), ("A:  b",)])
def test_a_request_says_for_which_host_it_is(lines: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest, match="send the header Host") as error:
        parse_head(head(*lines))
    assert error.value.status == 400
    assert refused(head(*lines, first="GET http://here/ HTTP/1.1")) == 400
    assert parse_head(head(*lines, first="GET / HTTP/1.0")).path == b"/"  # the older version knows no hosts
    assert parse_head(head("Host:", *lines)).fields[b"host"] == b""


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3"])
def test_a_version_that_is_not_spoken_is_said_to_be_so(version: str) -> None:
    assert refused(head(first=f"GET / {version}")) == 505


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("/a/b?c#d", b"/a/b", b"header"),
        ("/a#b?c", b"/a", b"header"),
        ("http://there/a?b", b"/a", b"there"),
        ("http://user:secret@there:81/a", b"/a", b"there:81"),
        ("http://there", b"/", b"there"),
        ("http://there?b", b"/", b"there"),
        ("*", b"*", b"header"),
    ],
)
def test_a_target_in_any_form_has_a_path_and_a_host(target: str, path: bytes, host: bytes) -> None:
    found = parse_head(head("Host: header", first=f"OPTIONS {target} HTTP/1.1"))
    assert (found.path, found.target) == (path, target.encode())
    assert [value for name, value in found.headers if name == b"host"] == [host]


@pytest.mark.parametrize(
    ("first", "lines", "stays"),
    [
        ("GET / HTTP/1.1", (), True),
        ("GET / HTTP/1.1", ("Connection: close",), False),
        ("GET / HTTP/1.1", ("Connection: Upgrade, CLOSE",), False),
        ("GET / HTTP/1.1", ("Connection: x", "Connection: close"), False),
        ("GET / HTTP/1.0", (), False),
        ("GET / HTTP/1.0", ("Connection: keep-alive",), False),
    ],
)
def test_a_connection_stays_as_its_version_and_options_say(first: str, lines: tuple[str, ...], stays: bool) -> None:
    assert parse_head(head("Host: here", *lines, first=first)).keep_alive is stays


@pytest.mark.parametrize(
    ("version", "lines", "offered"),
    [
        ("1.1", ("Connection: Upgrade", "Upgrade: WebSocket"), b"websocket"),
        ("1.1", ("Connection: keep-alive,  upgrade", "Upgrade: h2c", "Upgrade: websocket"), b"h2c,websocket"),
        ("1.1", ("Upgrade: websocket",), b""),
        ("1.1", ("Connection: Upgrade",), b""),
        ("1.0", ("Connection: Upgrade", "Upgrade: websocket"), b""),
    ],
)
def test_an_upgrade_is_offered_by_two_headers_and_the_newer_version(
    version: str, lines: tuple[str, ...], offered: bytes
) -> None:
    assert parse_head(head("Host: here", *lines, first=f"GET / HTTP/{version}")).upgrade == offered


@pytest.mark.parametrize(
    ("version", "value", "expects"),
    [("1.1", "100-Continue", True), ("1.0", "100-continue", False), ("1.1", "x", False)],
)
def test_a_client_of_the_older_version_expects_nothing(version: str, value: str, expects: bool) -> None:
    assert parse_head(head("Host: here", f"Expect: {value}", first=f"PUT / HTTP/{version}")).expects_continue is expects


class Lenient:
    """A parser that takes whatever comes, as some version of some library might."""

    def __init__(self, parts: Any) -> None:
        self._parts = parts

    def feed_data(self, data: bytes) -> None:
        self._parts.on_url(b"/")
        for line in data.split(b"\n")[1:]:
            name, colon, value = line.strip().partition(b":")
            if colon:
                self._parts.on_header(name, value)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: here\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\rContent-Length: 5\r\n\r\n",
        head("Host: here", " Content-Length: 5"),
        head("Host: here", "\tContent-Length: 5"),
        head("Host: here", "Content-Length: 5", "Content-Length: 5"),
        head("Host: here", "Content-Length: 5, 5"),
        head("Host: here", "Content-Length: 5", "Transfer-Encoding: chunked"),
        head("Transfer-Encoding: chunked", first="POST / HTTP/1.0"),
    ],
)
def test_where_a_request_ends_is_no_matter_of_a_library(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httptools, "HttpRequestParser", Lenient)
    assert refused(data) == 400


@given(st.binary(max_size=200).map(lambda data: data.replace(b"\r\n\r\n", b"")))
def test_whatever_comes_is_a_head_or_a_bad_request(data: bytes) -> None:
    try:
        found = parse_head(b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n")
    except BadRequest:
        return
    assert found.length >= CHUNKED


def test_what_a_header_says_several_times_is_one_list() -> None:
    found = parse_head(head("Host: here", "A: b", "C: d", "a: e,f"))
    assert found.fields == {b"host": b"here", b"a": b"b, e,f", b"c": b"d"}


CHARACTERS = st.sampled_from('ab:/?#%[]{}\\"<>^`|~=, \t\x00\x7f\xe9\r\n')
WORDS = st.text(CHARACTERS, max_size=6)
NAMES = st.one_of(st.sampled_from(["Host", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding"]), WORDS)
VALUES = st.one_of(st.sampled_from(["here", "close", "upgrade, x", "5", "99999999999999999999", "chunked"]), WORDS)
GAPS = st.sampled_from([": ", ":", ":  ", " : ", ":\t"])
LINES = st.lists(st.tuples(NAMES, GAPS, VALUES, st.sampled_from(["", " ", "\t"])).map("".join), max_size=5)
FIRST = st.sampled_from(
    ["GET {} HTTP/1.1", "POST {} HTTP/1.1", "get {} HTTP/1.1", "GET {} HTTP/1.0", "FOO {} HTTP/1.1"]
)


@settings(max_examples=200)
@given(FIRST, st.one_of(st.just("/"), WORDS.map("/".__add__), WORDS), LINES)
def test_a_head_that_is_read_without_the_library_is_read_as_the_library_reads_it(
    first: str, target: str, lines: list[str]
) -> None:
    data = head(*lines, first=first.format(target))
    end = data.index(b"\r\n\r\n") + 4
    found = read_plain(data[:end])
    if found is None:
        return
    try:
        same = read_any(data[:end])
    except BadRequest:
        with pytest.raises(BadRequest):  # a length that is none
            parse_head(data[:end])
        return
    for name in ("method", "version", "target", "headers", "fields"):
        assert getattr(found, name) == getattr(same, name)
    assert found.path == found.target.partition(b"?")[0]


def test_what_browsers_send_is_read_without_the_library() -> None:
    browser = (
        *("Host: push.example.com", "Connection: Upgrade", "Pragma: no-cache", "Cache-Control: no-cache"),
        *("User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "Upgrade: websocket"),
        *("Origin: https://app.example.com", "Sec-WebSocket-Version: 13", "Accept-Encoding: gzip, deflate, br"),
        *("Accept-Language: de,en;q=0.7", "Cookie: session=eyJ1IjoxfQ.Z0; theme=dark"),
        *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions: permessage-deflate"),
    )
    found = read_plain(head(*browser, first="GET /connection/websocket HTTP/1.1"))
    assert found is not None
    assert len(found.headers) == len(browser)
