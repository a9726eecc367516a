"""The decoders of both codecs: replies split wherever a network may split them, and what they leave of a connection."""

from __future__ import annotations

import pytest

from messageflow.client_io.codec import CLOSED, PENDING, Decoder, Malformed
from messageflow.client_io.http1 import ResponseDecoder
from messageflow.client_io.outcome import Response
from messageflow.client_io.redis_codec import RepliesDecoder

ONE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
TWO = b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n"


class Refusal(Exception):
    """A reply that is an error."""


def replies() -> RepliesDecoder:
    return RepliesDecoder(Refusal)


@pytest.mark.parametrize("at", range(1, len(ONE)))
def test_responses_on_one_connection_are_told_apart_wherever_they_are_split(at: int) -> None:
    decoder = ResponseDecoder()
    for data, expected in ((ONE, Response(200, b"hello")), (TWO, Response(503, b"he")), (ONE, Response(200, b"hello"))):
        assert decoder.is_idle()
        decoder.feed(data[:at])
        assert not decoder.is_idle()
        if len(data) > at:
            assert decoder.take() is PENDING
            decoder.feed(data[at:])
        assert decoder.take() == expected
    assert decoder.is_idle()
    assert decoder.take() is PENDING


@pytest.mark.parametrize(
    "data",
    [
        ONE + b"H",
        ONE + ONE,
        ONE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        ONE.replace(b"1.1", b"1.0"),
    ],
    ids=["a byte too many", "a response too many", "closing", "HTTP/1.0"],
)
def test_a_connection_that_says_more_or_closes_is_not_idle_again(data: bytes) -> None:
    decoder = ResponseDecoder()
    decoder.feed(data)
    assert decoder.take() == Response(200, b"hello")
    assert not decoder.is_idle()


def test_what_nobody_asked_for_is_seen() -> None:
    http, redis = ResponseDecoder(), replies()
    for decoder, data in ((http, b"H"), (redis, b"+")):
        assert decoder.is_idle()
        decoder.feed(data)
        assert not decoder.is_idle()


@pytest.mark.parametrize("decoder", [ResponseDecoder(), replies()], ids=["HTTP", "Redis"])
def test_an_end_without_a_reply_is_a_connection_that_closed(decoder: Decoder) -> None:
    with pytest.raises(ConnectionResetError, match=CLOSED):
        decoder.end()


def test_a_response_that_ends_with_the_connection_is_one() -> None:
    decoder = ResponseDecoder()
    decoder.feed(b"HTTP/1.1 200 OK\r\n\r\nhello")
    assert decoder.take() is PENDING
    decoder.end()
    assert decoder.take() == Response(200, b"hello")
    assert not decoder.is_idle()


def test_noise_is_told_by_each_codec_in_its_words() -> None:
    with pytest.raises(Malformed, match="does not speak HTTP"):
        ResponseDecoder().feed(b"SSH-2.0-OpenSSH\r\n")
    redis = replies()
    redis.feed(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(OSError, match="does not speak the protocol of Redis"):
        redis.take()


STREAM = b"*2\r\n$3\r\nabc\r\n$-1\r\n-ERR no\r\n:7\r\n*0\r\n"


@pytest.mark.parametrize("at", range(1, len(STREAM)))
def test_replies_of_redis_are_told_apart_wherever_they_are_split(at: int) -> None:
    decoder = replies()
    found = []
    for data in (STREAM[:at], STREAM[at:]):
        decoder.feed(data)
        while (reply := decoder.take()) is not PENDING:
            found.append(reply)
    assert [found[0], found[2], found[3]] == [[b"abc", None], 7, []]
    assert isinstance(found[1], Refusal)
    assert len(found) == 4
    assert decoder.is_idle()
