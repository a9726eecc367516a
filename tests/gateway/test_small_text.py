"""The frame parser of ours takes small whole masked texts, reads them as the library does, and takes nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from messageflow.gateway.websocket_protocol import small_message

MOST = 70_000


def by_the_library(data: bytes) -> Frame | None:
    """Return the frame when the bytes are one and no more, None otherwise."""
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=True, max_size=MOST)
    try:
        next(parsing)
    except StopIteration as done:
        found: Frame = done.value
        return None if reader.buffer else found
    except Exception:
        return None
    return None


def masked(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


@pytest.mark.parametrize("size", [0, 1, 2, 124, 125, 126, 127, 128, 1000, 65_535])
def test_a_small_text_is_read_whatever_its_length(size: int) -> None:
    payload = bytes(number % 127 for number in range(size))
    assert small_message(masked(payload), MOST) == payload


@pytest.mark.parametrize(
    "data",
    [
        masked(b"x" * 65_536),
        masked(b"x", Opcode.BINARY),
        masked(b"x", fin=False),
        masked(b"x", Opcode.CONT),
        masked(b"", Opcode.PING),
        masked(b"\x03\xe8", Opcode.CLOSE),
        masked(b"one") + masked(b"two"),
        masked(b"whole")[:-1],
        masked(b"x" * 300)[:-1],
        masked(b"x" * 300) + b"y",
        Frame(Opcode.TEXT, b"x").serialize(mask=False),
        Frame(Opcode.TEXT, b"x" * 300).serialize(mask=False),
        b"\xc1" + masked(b"x")[1:],
        b"\x81",
        b"\x81\x80",
        b"\x81\xfe\x00\x05" + bytes(4) + b"hello",
        b"\x81\xff" + (5).to_bytes(8, "big") + bytes(4) + b"hello",
    ],
    ids=range(17),  # masks are drawn by lot
)
def test_anything_else_is_left_to_the_library(data: bytes) -> None:
    assert small_message(data, MOST) is None


def test_what_is_too_large_is_left_to_the_library() -> None:
    assert small_message(masked(b"x" * 100), 99) is None
    assert small_message(masked(b"x" * 100), 100) == b"x" * 100


@given(st.one_of(st.binary(min_size=1, max_size=40), st.binary(max_size=200).map(masked)), st.binary(max_size=3))
def test_what_it_takes_the_library_takes_too_and_reads_the_same(data: bytes, behind: bytes) -> None:
    for bytes_ in (data, b"\x81" + data[1:], data + behind):
        found = small_message(bytes_, MOST)
        if found is not None:
            frame = by_the_library(bytes_)
            assert frame is not None
            assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, found)


@given(st.binary(max_size=300))
def test_every_small_text_that_comes_alone_is_taken(payload: bytes) -> None:
    assert small_message(masked(payload), MOST) == payload
