"""Frames on a byte stream: the length in four bytes, then as many bytes.

Pure: bytes come in as the socket cuts them, whole frames come out. Owns what is there of a frame that is still coming.
"""

from __future__ import annotations

from struct import Struct

LARGEST = 1 << 28  # bytes of one frame; no call, page or batch comes near it

_length = Struct(">I")
HEAD = _length.size
encode_length = _length.pack


class FrameError(Exception):
    """What came is no frame; nothing after it can be read."""


class FrameReader:
    """The frames of one direction of one link."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._needed = HEAD  # bytes until the next frame is whole, its length included, as far as is known

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, and return the frames that are whole now.

        Raises:
            FrameError: a frame says it is longer than any may be.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        frames: list[bytes] = []
        start, end = 0, len(data)
        self._needed = HEAD
        while end - start >= HEAD:
            (size,) = _length.unpack_from(data, start)
            if size > LARGEST:
                raise FrameError(f"a frame of {size} bytes")
            stop = start + HEAD + size
            if stop > end:
                self._needed = HEAD + size
                break
            frames.append(data[start + HEAD : stop])
            start = stop
        if start < end:
            self._rest += data[start:] if start else data
        return frames
