"""One end of the link between a worker and its parent: frames over a Unix socket on the event loop.

The first frames of a turn of the loop are written at once, so that one who asks and waits does not wait for the next
turn; what follows in the same turn is joined into one write. The same on uvloop, which writes after its poll: 32 frames
cost 12 µs joined and 75 µs one by one. Owns the socket and what waits for it, never what a frame means.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from messageflow.brokers.worker_link.framing import FrameError, FrameReader, encode_length

AT_ONCE_BYTES = 2048  # waiting in the transport: up to there a frame is written at once
JOINED_BYTES = 1 << 18  # that are joined into one write; more are written within the turn
HIGH_WATER = 8 << 20  # bytes waiting, from where the other end is said to be full
LOW_WATER = 1 << 20


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

    Attributes:
        full: as much waits as should; what may be left out is left out from here on.
        closed: nothing is sent or heard any more.
    """

    def __init__(self, owner: LinkOwner) -> None:
        self.full = False
        self.closed = False
        self._owner = owner
        self._reader = FrameReader()
        self._transport: asyncio.Transport
        self._joined: list[bytes] = []
        self._joined_bytes = 0
        self._why = ""

    # What the event loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self._owner.link_made(self)

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        try:
            frames = self._reader.feed(data)
        except FrameError as error:
            self.abort(f"what came over it is no frame: {error}")
            return
        if frames:
            self._owner.link_frames(self, frames)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._owner.link_room(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._joined.clear()
        self._owner.link_lost(self, self._why or str(exc or "the other end closed it"))

    # What its owner wants

    @property
    def waiting(self) -> int:
        """Bytes that wait for the other end to take them."""
        return self._transport.get_write_buffer_size() + self._joined_bytes

    def send(self, frame: bytes) -> None:
        """Send a frame after all before it. On a link that is lost it is lost too."""
        if self.closed:
            return
        joined, size = self._joined, len(frame)
        if joined:
            joined.append(encode_length(size))
            joined.append(frame)
            self._joined_bytes += size
            if self._joined_bytes > JOINED_BYTES:
                self._flush()
        elif self._transport.get_write_buffer_size() <= AT_ONCE_BYTES:
            self._transport.write(encode_length(size) + frame)
        else:
            joined.append(encode_length(size))
            joined.append(frame)
            self._joined_bytes = size
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._joined and not self.closed:
            joined, self._joined, self._joined_bytes = self._joined, [], 0
            self._transport.write(b"".join(joined))

    def close(self) -> None:
        """End it once what was sent has been taken."""
        self._flush()
        self._transport.close()

    def abort(self, why: str) -> None:
        """End it now; what was not taken yet is lost."""
        if not self.closed:
            self.closed = True
            self._why = why
            self._joined.clear()
            self._transport.abort()
