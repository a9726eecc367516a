"""One end of the link between a worker and its parent: frames over a Unix socket on the event loop.

The first frame of a turn of the loop is written at once, so that the other end begins on it while this one goes on.
What follows in that turn goes in one write at its end, for each write is a system call of 3 to 5 µs (benchmarks:
workers). So does what answers several frames that came together. Owns the socket and what waits for it; never what a
frame means, nor how much may wait: that is told by who sends, for what is done then is theirs.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from messageflow.brokers.worker_link.framing import FrameError, FrameReader, encode_length

HELD_BYTES = 1 << 18  # at most
ROOM_AGAIN = 8  # what is full has room when no more than this part of it waits: once a while, not with each frame


class LinkOwner(Protocol):
    """What a connection tells; the calls are synchronous and do not raise."""

    def link_made(self, connection: LinkConnection) -> None:
        """It is up."""

    def link_frames(self, connection: LinkConnection, frames: list[bytes]) -> None:
        """These frames have come, in this order."""

    def link_room(self, connection: LinkConnection) -> None:
        """It was full, and is no longer."""

    def link_lost(self, connection: LinkConnection, why: str) -> None:
        """It is gone; nothing follows."""


class LinkConnection(asyncio.Protocol):
    """One connection.

    Args:
        owner: is told.
        full_bytes: that wait for the other end, from where on it is full.

    Attributes:
        full: as much waits as should; what may be left out is left out from here on.
        closed: nothing is sent or heard any more.
    """

    def __init__(self, owner: LinkOwner, full_bytes: int) -> None:
        self.full = False
        self.closed = False
        self._owner = owner
        self._full_bytes = full_bytes
        self._reader = FrameReader()
        self._loop: asyncio.AbstractEventLoop
        self._transport: asyncio.Transport
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_answering = False
        self._has_written = False  # in this turn of the loop
        self._why = ""

    # What the event loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(self._full_bytes, self._full_bytes // ROOM_AGAIN)
        self._owner.link_made(self)

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        try:
            frames = self._reader.feed(data)
        except FrameError as error:
            self.abort(f"what came over it is no frame: {error}")
            return
        if len(frames) > 1:
            self._is_answering = True
            try:
                self._owner.link_frames(self, frames)
            finally:
                self._is_answering = False
                self._flush()
        elif frames:
            self._owner.link_frames(self, frames)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._owner.link_room(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._held.clear()
        self._owner.link_lost(self, self._why or str(exc or "the other end closed it"))

    # What its owner wants

    @property
    def waiting(self) -> int:
        """Bytes that wait for the other end to take them."""
        return self._transport.get_write_buffer_size() + self._held_bytes

    def send(self, frame: bytes) -> None:
        """Send a frame after all before it. On a link that is lost it is lost too."""
        if self.closed:
            return
        size = len(frame)
        if not self._is_answering and not self._has_written:
            self._has_written = True
            self._loop.call_soon(self._end_turn)
            self._transport.write(encode_length(size) + frame)
            return
        self._held.append(encode_length(size))
        self._held.append(frame)
        self._held_bytes += size
        if self._held_bytes > HELD_BYTES:
            self._flush()

    def _end_turn(self) -> None:
        self._has_written = False
        self._flush()

    def _flush(self) -> None:
        if self._held and not self.closed:
            held, self._held, self._held_bytes = self._held, [], 0
            self._transport.write(b"".join(held))

    def close(self) -> None:
        """End it once what was sent has been taken."""
        self._flush()
        self._transport.close()

    def abort(self, why: str) -> None:
        """End it now; what was not taken yet is lost."""
        if not self.closed:
            self.closed = True
            self._why = why
            self._held.clear()
            self._transport.abort()
