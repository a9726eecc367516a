"""Pages that come back: clients of one event loop that keep their positions, resume, and check what they get.

The crowd only counts and is cheap; a page does what the browser client does. It answers pings, waits with full jitter
when it was cut off or refused, presents where it stood, and insists that every channel goes on there. A gateway's
streams begin with it, so a page that was there from the start sees every offset from 1.

Owns the connections. It never pushes.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import msgspec

from benchmarks.page_protocol import PONG, Accepted, Denied, Event, PageProtocol, Pinged
from benchmarks.servers.gateway import token, user
from messageflow.cli.listen_protocol import Arrived

TEXT, CLOSE, PING = 1, 8, 9
ADDRESSES = 8  # loopback addresses they come from, so that ports do not run short
AT_A_TIME = 200
FIRST_DELAY, LONGEST_DELAY = 0.5, 20.0  # seconds, as in client/src/backoff.ts
LOOK_EVERY = 0.05
FAR_BYTES = 16_384  # that the kernel takes for a page far away that does not read
FAR_SEGMENT = 1_460  # loopback's own, 64 KB, lets the gateway's kernel hold megabytes for it
UPGRADE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class PagesFailed(Exception):
    """Not every page came (back) in time, or one missed something."""


class Stamp(msgspec.Struct, frozen=True):
    """When something was pushed, on the monotonic clock; 0 if it does not say."""

    at: float = 0.0


class Stamped(msgspec.Struct, frozen=True):
    """The part of a pushed action that a page looks at."""

    payload: Stamp = Stamp()


_stamped = msgspec.json.Decoder(Stamped).decode


class Page(asyncio.Protocol):
    """One page. All times are those of `time.monotonic`.

    Args:
        number: its number; its user is of its own.
        port: where the gateway listens.
        channels: what it holds beside its personal channel and the broadcast channel.
        far: whether its connection is as one from far away: little room, and segments as they are outside loopback.

    Attributes:
        user: who it is.
        returns: whether it comes back by itself.
        connected: whether the gateway has taken it.
        offsets: the newest publication it has of each channel.
        arrived_at: when it got its newest publication.
        connected_at: when it was last taken.
        whole_at: when it had all that was pushed before it was last taken.
        closed_at: when it last heard that it should go, or found itself cut off.
        code: the close code it heard then; 0 when it was cut off.
        refused: how often it was turned away.
        trouble: what was wrong with what it got, if anything was.
    """

    def __init__(self, number: int, port: int, channels: Sequence[str] = (), *, far: bool = False) -> None:
        self.user = user(number)
        self.returns = False
        self.connected = False
        self.offsets: defaultdict[str, int] = defaultdict(int)
        self.arrived_at = self.connected_at = self.whole_at = self.closed_at = 0.0
        self.code = self.refused = 0
        self.trouble = ""
        self._address = f"127.0.0.{1 + number % ADDRESSES}"
        self._port = port
        self._far = far
        self._token = token(number, channels)
        self._protocol = PageProtocol()
        self._failures = 0
        self._upgraded = False
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._coming: asyncio.Task[None] | None = None

    async def come(self) -> None:
        """Open a connection; when that fails, count it as one that was cut off."""
        loop, plug = asyncio.get_running_loop(), socket.socket()
        plug.setblocking(False)
        if self._far:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FAR_BYTES)
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, FAR_SEGMENT)
        try:
            plug.bind((self._address, 0))
            await loop.sock_connect(plug, ("127.0.0.1", self._port))
            await loop.create_connection(lambda: self, sock=plug)
        except OSError:
            plug.close()
            self.connection_lost(None)

    @property
    def gone(self) -> bool:
        """Whether it holds no connection and is opening none."""
        return self._transport is None and (self._coming is None or self._coming.done())

    def stall(self) -> None:
        """Read nothing any more."""
        if self._transport is not None:
            self._transport.pause_reading()

    def read_on(self) -> None:
        """Read again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def leave(self) -> None:
        """Go away without a word, and stay away."""
        self.returns = False
        if self._transport is not None:
            self._transport.abort()

    # What the event loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not subclasses of it
        self._upgraded, self.code = False, 0
        self._received.clear()
        self._transport.write(UPGRADE % self._port)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._upgraded and not self._upgrade():
            return
        for opcode, payload in frames(self._received):
            if opcode == TEXT:
                for event in self._protocol.receive(payload.decode()):
                    self._take(event)
            elif opcode == CLOSE:
                self.code, self.closed_at = int.from_bytes(payload[:2], "big"), time.monotonic()
                self._send(CLOSE, payload[:2])

    def connection_lost(self, error: Exception | None) -> None:
        self.connected, self._transport = False, None
        if not self.code:
            self.closed_at = time.monotonic()
        if self.returns:
            delay = backoff(self._failures, random.random())
            self._failures += 1
            asyncio.get_running_loop().call_later(delay, self._come_back)

    def _come_back(self) -> None:
        if self.returns:
            self._coming = asyncio.get_running_loop().create_task(self.come())

    # What the gateway says

    def _upgrade(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._upgraded = self._received.startswith(b"HTTP/1.1 101")
        del self._received[: end + 4]
        if self._upgraded:
            self._send(TEXT, self._protocol.connect(self._token).encode())
        else:
            self.refused += 1
            self._abort()
        return self._upgraded

    def _take(self, event: Event) -> None:
        if isinstance(event, Arrived):
            self._arrived(event)
        elif isinstance(event, Pinged):
            self._send(TEXT, PONG.encode())
        elif isinstance(event, Accepted):
            self.connected, self._failures = True, 0
            self.connected_at = self.whole_at = time.monotonic()
            if event.lost:
                self.trouble = f"could not recover {', '.join(event.lost)}"
        elif isinstance(event, Denied):
            self.refused += 1
            self._abort()

    def _arrived(self, event: Arrived) -> None:
        before, self.offsets[event.channel] = self.offsets[event.channel], event.offset
        if event.offset != before + 1:
            self.trouble = f"{event.channel} went from {before} to {event.offset}"
        self.arrived_at = time.monotonic()
        if _stamped(event.data).payload.at < self.connected_at:
            self.whole_at = self.arrived_at

    def _send(self, opcode: int, payload: bytes) -> None:
        if self._transport is not None:
            self._transport.write(masked(opcode, payload))

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Pages:
    """All pages of one gateway; used within a running event loop.

    Args:
        pages: which.
    """

    def __init__(self, pages: Iterable[Page]) -> None:
        self.all = list(pages)

    async def come(self, at_a_time: int = AT_A_TIME, seconds: float = 60.0) -> None:
        """Connect all, so many at a time, or all at once if that is as many.

        Raises:
            PagesFailed: not all could.
        """
        for first in range(0, len(self.all), at_a_time):
            group = self.all[first : first + at_a_time]
            coming = [asyncio.create_task(page.come()) for page in group]
            await self.until(lambda page: page.connected, seconds, "connected", group)
            await asyncio.gather(*coming)

    async def leave(self) -> None:
        """Cut all off."""
        for page in self.all:
            page.leave()
        await self._wait(lambda page: page.gone, 10.0, "gone", self.all)

    async def until(
        self, holds: Callable[[Page], bool], seconds: float, what: str, pages: Sequence[Page] | None = None
    ) -> None:
        """Wait until something holds for every page.

        Raises:
            PagesFailed: it does not after this many seconds, or something was wrong with what a page got.
        """
        await self._wait(holds, seconds, what, self.all if pages is None else pages)
        self.check()

    async def _wait(self, holds: Callable[[Page], bool], seconds: float, what: str, pages: Sequence[Page]) -> None:
        deadline = time.monotonic() + seconds
        while pages := [page for page in pages if not holds(page)]:
            if time.monotonic() > deadline:
                raise PagesFailed(f"{len(pages)} of {len(self.all)} are not {what} after {seconds:.0f} s")
            await asyncio.sleep(LOOK_EVERY)

    def check(self) -> None:
        """Look whether anything was missing or in the wrong order.

        Raises:
            PagesFailed: it was; the message says what, the commonest first.
        """
        troubles = Counter(page.trouble for page in self.all if page.trouble)
        if troubles:
            (first, times), count = troubles.most_common(1)[0], troubles.total()
            raise PagesFailed(f"{count} of {len(self.all)} pages did not get everything; {times} of them: {first}")


def backoff(failures: int, chance: float) -> float:
    """Seconds to wait, as the browser client does: anywhere between now and a limit that doubles."""
    return chance * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 10))


def frames(received: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the complete WebSocket frames of a server off the front of what was received: opcode and payload."""
    while len(received) >= 2:
        size, head = received[1] & 127, 2
        if size > 125:
            head += 2 if size == 126 else 8
            size = int.from_bytes(received[2:head], "big")
        if len(received) < head + size:
            return
        opcode, payload = received[0] & 15, bytes(received[head : head + size])
        del received[: head + size]
        yield opcode, payload


def masked(opcode: int, payload: bytes) -> bytes:
    """A WebSocket frame as a client sends it, with a mask of zeros: the protocol wants a mask, not the work."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies, and the greatest for a share of 1."""
    return sorted(values)[round((len(values) - 1) * share)]
