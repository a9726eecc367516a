"""Where bodies end, and what is in them, split at every byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.gateway.front_door.body import EXTENSION_BYTES, TRAILER_BYTES, Chunked, Counted, body_of
from messageflow.gateway.front_door.head import CHUNKED, BadRequest

WHOLE = b"5;name=value\r\nhello\r\n0A\r\n, everybod\r\n1\r\ny\r\n0\r\nSum: 1\r\nMore: 2\r\n\r\n"
NEXT = b"GET / HTTP/1.1\r\n\r\n"


def taken(body: Counted | Chunked, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """Return the content, and what is behind the body."""
    content, behind = b"", b""
    for piece in pieces:
        if body.done:
            behind += piece
            continue
        found, end = body.take(piece)
        content += found
        behind += piece[end:]
    return content, behind


@pytest.mark.parametrize("at", range(len(WHOLE + NEXT) + 1))
def test_chunks_end_where_they_end_however_they_are_cut(at: int) -> None:
    body, data = Chunked(), WHOLE + NEXT
    assert taken(body, [data[:at], data[at:]]) == (b"hello, everybody", NEXT)
    assert body.done


def test_chunks_may_come_byte_by_byte() -> None:
    data = WHOLE + NEXT
    assert taken(Chunked(), [data[at : at + 1] for at in range(len(data))]) == (b"hello, everybody", NEXT)


@given(st.lists(st.binary(min_size=1, max_size=40)), st.lists(st.integers(1, 30), min_size=1))
def test_any_content_in_any_chunks_and_any_pieces_comes_out(chunks: list[bytes], sizes: list[int]) -> None:
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n" + NEXT
    pieces, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[at : at + size])
        at, turn = at + size, turn + 1
    assert taken(Chunked(), pieces) == (b"".join(chunks), NEXT)


@pytest.mark.parametrize(
    "data",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"g\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"5;\rx\r\nhello\r\n0\r\n\r\n",
        b"5;\x00\r\nhello\r\n0\r\n\r\n",
        b"F" * 16 + b"\r\nhello",
        b"5;" + b"x" * 2000 + b"\r\nhello",
        b"5" * 2000,
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\nA: b\r\n folded\r\n\r\n",
        b"0\r\nA: b\n\r\n",
        b"0\r\n" + b"A: b\r\n" * TRAILER_BYTES,
        b"1;x=%b\r\ny\r\n" % (b"z" * 500) * (EXTENSION_BYTES // 500 + 1),
    ],
)
def test_chunks_that_are_not_written_as_they_must_be_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequest) as error:
        taken(Chunked(), [data])
    assert error.value.status == 400


def test_a_counted_body_ends_at_its_length() -> None:
    body = body_of(5)
    assert taken(body, [b"he", b"llo" + NEXT]) == (b"hello", NEXT)
    assert body.done
    assert isinstance(body_of(CHUNKED), Chunked)
