"""HTTP as bytes: addresses, requests, and responses split wherever a network may split them."""

from __future__ import annotations

import pytest

from messageflow.client_io import http1
from messageflow.client_io.codec import Malformed
from messageflow.client_io.http1 import Endpoint, ResponseParser, build_request, parse_url
from messageflow.client_io.outcome import Response
from messageflow.errors import ConfigurationError

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("url", "endpoint", "shown"),
    [
        ("http://127.0.0.1:8000", Endpoint(False, "127.0.0.1", 8000, ""), "http://127.0.0.1:8000"),
        ("http://gateway", Endpoint(False, "gateway", 80, ""), "http://gateway"),
        ("https://push.example/", Endpoint(True, "push.example", 443, ""), "https://push.example"),
        ("https://push.example:80", Endpoint(True, "push.example", 80, ""), "https://push.example:80"),
        ("http://[::1]:8000/flow/", Endpoint(False, "::1", 8000, "/flow"), "http://[::1]:8000/flow"),
    ],
)
def test_url_names_an_endpoint(url: str, endpoint: Endpoint, shown: str) -> None:
    assert parse_url(url) == endpoint
    assert endpoint.url == shown


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "ws://h",
        "http://",
        "http://h:99999",
        "http://h/?a=1",
        "http://h/#a",
        "http://h\r\nX: y",
        "http://hé",
    ],
)
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="MESSAGEFLOW_URL"):
        parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@gateway",
        "http://me:hunter2#x@gateway",
        "http://me:hunter2?x@gateway",
        "http://me:hunter2/x@gateway",
        "http://me:[hunter2]@gateway",
        "http://me:1234/hunter2@gateway",
        "http://me:hunter2",
        "hunter2://gateway",
        "hunter2@gateway",
        "hunter2",
        "http://gateway?key=hunter2",
    ],
)
def test_no_part_of_a_url_that_is_refused_is_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url)
    assert "hunter2" not in str(caught.value)


def test_request_is_complete() -> None:
    endpoint = Endpoint(False, "127.0.0.1", 8000, "/flow")
    assert build_request(endpoint, "key", "push", b"{}") == (
        b"POST /flow/messageflow/api/push HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: messageflow-python\r\n"
        b"Content-Type: application/json\r\nX-API-Key: key\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_request_without_a_key_sends_no_empty_header() -> None:
    assert b"X-API-Key" not in build_request(Endpoint(False, "h", 80, ""), "", "push", b"{}")


def test_key_that_would_smuggle_a_header_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="MESSAGEFLOW_API_KEY"):
        build_request(Endpoint(False, "h", 80, ""), "a\r\nX-Other: b", "push", b"{}")


@pytest.mark.parametrize("response", [PLAIN, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN])
def test_response_is_whole_wherever_it_is_split(response: bytes) -> None:
    for at in range(1, len(response)):
        parser = ResponseParser()
        assert not parser.feed(response[:at])
        assert parser.feed(response[at:])
        assert parser.response == Response(200, b"hello")
        assert parser.reusable


def test_response_that_ends_with_the_connection() -> None:
    parser = ResponseParser()
    assert not parser.feed(b"HTTP/1.1 503 No\r\n\r\nhel")
    assert not parser.feed(b"lo")
    assert parser.end()
    assert parser.response == Response(503, b"hello")
    assert not parser.reusable


@pytest.mark.parametrize("cut", [b"", b"HTTP/1.1 200 OK\r\n", PLAIN[:-1], CHUNKED[:-4]])
def test_response_that_was_cut_does_not_pass_for_whole(cut: bytes) -> None:
    parser = ResponseParser()
    parser.feed(cut)
    assert not parser.end()


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        PLAIN + PLAIN,
        PLAIN + b"HTTP/1.1 408 Too Slow\r\n\r\nbye",
        PLAIN + b"\x00\x01",
    ],
)
def test_connection_is_not_used_again(response: bytes) -> None:
    parser = ResponseParser()
    assert parser.feed(response)
    assert parser.response in (Response(200, b""), Response(200, b"hello"))
    assert not parser.reusable


@pytest.mark.parametrize("noise", [b"SSH-2.0-OpenSSH\r\n", b"\x15\x03\x01\x00\x02\x02\x0a", b"HTTP/1.1 abc\r\n"])
def test_what_is_no_http_is_malformed(noise: bytes) -> None:
    with pytest.raises(Malformed, match="does not speak HTTP"):
        ResponseParser().feed(noise)


def test_endless_body_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "BODY_LIMIT", 4)
    with pytest.raises(Malformed, match="over 4 bytes"):
        ResponseParser().feed(PLAIN)
