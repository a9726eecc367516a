"""Frames come out whole, however the socket cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.brokers.worker_link.framing import LARGEST, FrameError, FrameReader, encode_length

BODIES = [b"", b"a", b"bc" * 100, b"", b"\0\0\0\x01", b"d" * 3]
STREAM = b"".join(encode_length(len(body)) + body for body in BODIES)


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_stream_cut_anywhere_gives_the_same_frames(cut: int) -> None:
    reader = FrameReader()
    assert reader.feed(STREAM[:cut]) + reader.feed(STREAM[cut:]) == BODIES


def test_a_stream_byte_by_byte_gives_the_same_frames() -> None:
    reader = FrameReader()
    assert [frame for byte in STREAM for frame in reader.feed(bytes([byte]))] == BODIES


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 50)))
def test_a_stream_in_any_pieces_gives_the_same_frames(bodies: list[bytes], sizes: list[int]) -> None:
    reader, frames, start = FrameReader(), list[bytes](), 0
    stream = b"".join(encode_length(len(body)) + body for body in bodies)
    for size in [*sizes, len(stream)]:
        frames += reader.feed(stream[start : start + size])
        start += size
    assert frames == bodies


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1", encode_length(LARGEST + 1)])
def test_a_length_that_no_frame_has_is_refused_before_its_bytes_are_waited_for(said: bytes) -> None:
    with pytest.raises(FrameError):
        FrameReader().feed(said)


def test_the_largest_frame_is_waited_for() -> None:
    assert FrameReader().feed(encode_length(LARGEST) + b"x") == []
