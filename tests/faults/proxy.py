"""A TCP proxy that does to a link what networks do to links, and counts that it really did.

Owns one listening address on loopback, its targets, and the connections between them. It never looks into the bytes and
never changes any: what passes arrives as it was sent, in order, or the connection is reset. One proxy stands for one
link. Faults have toxiproxy's names where it has one: latency, bandwidth, slicer, limit_data, timeout (the black hole),
reset_peer (the cut).

A connection that lost bytes never carries any again: it stays silent until the link heals and is reset then, since a
stream with a hole in it exists on no network.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down"]
"""`up` is towards the target, `down` towards whoever connected."""

UP: Direction = "up"
DOWN: Direction = "down"

CHUNK = 16 * 1024
CHUNKS_HELD = 16  # on the way in one direction; more than this and the sender is held back
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to a link at the moment; the default is nothing.

    Args:
        latency: seconds everything takes longer.
        jitter: seconds added to that at most, by chance; order is kept.
        bandwidth: bytes a second in each direction; 0 is no limit.
        slice_size: bytes that are written at once at most; 0 does not slice.
        slice_pause: seconds between slices.
        limit: bytes after which a connection is reset, counted from now on in both directions; 0 is no limit.
        discards: the directions in which bytes vanish.
        paused: whether nothing is read, so that both sides feel a full buffer.
    """

    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: int = 0
    slice_size: int = 0
    slice_pause: float = 0.0
    limit: int = 0
    discards: frozenset[Direction] = frozenset()
    paused: bool = False


HEALTHY = Faults()


class Proxy:
    """One link.

    Args:
        targets: the ports on loopback that connections are carried to, each to one of them by chance.
        window: bytes the kernel keeps for a socket of ours at most, so that a slow reader is felt soon; 0 leaves it
            to the kernel.
        chance: where jitter comes from.

    Attributes:
        port: where to connect to.
        targets: as given; may be set anew, for connections that come then.
        fired: what the faults have really done, by name: bytes for latency, bandwidth, timeout, half_open_up,
            half_open_down and pause; slices for slicer; connections for reset_peer and limit_data. `blocked` counts
            what came from the target and found all room on the way to the client taken, so that the target is next to
            feel that nobody reads.
    """

    def __init__(self, *targets: int, window: int = 0, chance: random.Random | None = None) -> None:
        self.targets = targets
        self.port = 0
        self.fired: Counter[str] = Counter()
        self.faults = HEALTHY
        self._window = window
        self._chance = chance or random.Random()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        """How many connections are carried at the moment."""
        return sum(link.carries for link in self._links)

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, limit=CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End everything. May be cancelled and called again."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set(self, faults: Faults) -> None:
        """Do this to every present and future connection, instead of what was done before.

        Connections that lost bytes are reset unless they would go on losing them.
        """
        self.faults = faults
        for link in self._links:
            link.passed = 0
            if link.lost - faults.discards:
                link.reset()
        self._changed.set()
        self._changed = asyncio.Event()

    def heal(self) -> None:
        """End all faults, and the connections that lost bytes by them."""
        self.set(HEALTHY)

    def cut(self) -> int:
        """Reset every present connection on both sides; return how many there were. New ones are carried."""
        carried = [link for link in self._links if link.carries]
        for link in carried:
            self.fired["reset_peer"] += 1
            link.reset()
        return len(carried)

    async def changed(self) -> None:
        """Return when the faults are others than now."""
        await self._changed.wait()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, self._chance)
        link.add(writer)
        self._links.add(link)
        try:
            there = await self._dial()
            link.add(there[1])
            link.carries = True
            await link.run((reader, writer), there)
        except OSError:
            pass  # one side is gone or was never there: the other is told by a reset
        finally:
            link.reset()
            self._links.discard(link)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = self._chance.choice(self.targets)
        plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            plug.setblocking(False)
            if self._window:
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._window)
            await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", target))
        except BaseException:
            plug.close()
            raise
        return await asyncio.open_connection(sock=plug, limit=CHUNK)


_END = b""
_BROKEN = None
_Chunk = tuple[float, bytes | None]
"""When it is due on the other side, and the bytes, or how the stream came to its end."""


class _Link:
    """One carried connection: two sockets, and two directions of which each is read and written on its own."""

    def __init__(self, proxy: Proxy, chance: random.Random) -> None:
        self.carries = False
        self.lost: set[Direction] = set()
        self.passed = 0
        self._proxy = proxy
        self._chance = chance
        self._writers: list[asyncio.StreamWriter] = []
        self._over = asyncio.Event()

    def add(self, writer: asyncio.StreamWriter) -> None:
        """Take a socket into ownership."""
        writer.transport.set_write_buffer_limits(high=CHUNK)
        if self._proxy._window:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._proxy._window)
        self._writers.append(writer)

    def reset(self) -> None:
        """End both sides at once, with a reset."""
        self.carries = False
        self._over.set()
        for writer in self._writers:
            if not writer.transport.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()

    async def run(
        self,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Carry bytes until both sides have ended, one is gone, or the link is reset."""
        up = asyncio.create_task(self._direction(UP, here[0], there[1]))
        down = asyncio.create_task(self._direction(DOWN, there[0], here[1]))
        over = asyncio.create_task(self._over.wait())
        closing = asyncio.create_task(self._close_after(up, down))
        try:
            await asyncio.wait((closing, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down, over, closing):
                task.cancel()
            await asyncio.gather(up, down, over, closing, return_exceptions=True)

    async def _close_after(self, *directions: asyncio.Task[None]) -> None:
        await asyncio.gather(*directions)
        for writer in self._writers:
            writer.close()  # sends what is still buffered
        for writer in self._writers:
            await writer.wait_closed()

    async def _direction(
        self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        chunks: asyncio.Queue[_Chunk] = asyncio.Queue(CHUNKS_HELD)
        taking = asyncio.create_task(self._take(direction, reader, chunks))
        try:
            await self._give(direction, chunks, writer)
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _take(self, direction: Direction, reader: asyncio.StreamReader, chunks: asyncio.Queue[_Chunk]) -> None:
        """Read, and note for each chunk when it is due on the other side."""
        due = 0.0
        now = asyncio.get_running_loop().time
        data: bytes | None = b"-"
        while data:
            try:
                data = await reader.read(CHUNK)
            except ConnectionError:
                data = _BROKEN
            faults = self._proxy.faults
            if faults.latency or faults.jitter:
                self._proxy.fired["latency"] += len(data or _END)
                due = max(due, now() + faults.latency + faults.jitter * self._chance.random())
            if direction == DOWN and chunks.full():
                self._proxy.fired["blocked"] += 1
            await chunks.put((due, data))
            if self._proxy.faults.paused:
                self._proxy.fired["pause"] += len(data or _END)
                await self._while_paused()

    async def _while_paused(self) -> None:
        while self._proxy.faults.paused:
            await self._proxy.changed()

    async def _give(self, direction: Direction, chunks: asyncio.Queue[_Chunk], writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, data = await chunks.get()
            if (wait := due - now()) > 0:
                await asyncio.sleep(wait)
            await self._while_paused()
            if direction in self._proxy.faults.discards:
                await self._discard(direction, data)
            elif data is _BROKEN:
                raise ConnectionResetError
            elif data == _END:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            else:
                await self._write(direction, data, writer)

    async def _discard(self, direction: Direction, data: bytes | None) -> None:
        """Let these bytes vanish. The end of a stream vanishes as bytes do: nobody learns of it."""
        both = len(self._proxy.faults.discards) == 2
        self._proxy.fired["timeout" if both else f"half_open_{direction}"] += len(data or _END)
        self.lost.add(direction)
        if not data:
            await self._over.wait()

    async def _write(self, direction: Direction, data: bytes, writer: asyncio.StreamWriter) -> None:
        faults = self._proxy.faults
        size = faults.slice_size or len(data)
        if faults.bandwidth:
            size = min(size, max(1, faults.bandwidth // 20))
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            if faults.bandwidth:
                self._proxy.fired["bandwidth"] += len(piece)
                await asyncio.sleep(len(piece) / faults.bandwidth)
            if faults.slice_size:
                self._proxy.fired["slicer"] += 1
                await asyncio.sleep(faults.slice_pause)
            writer.write(piece)
            await writer.drain()
            self.passed += len(piece)
            if faults.limit and self.passed >= faults.limit:
                self._proxy.fired["limit_data"] += 1
                self.reset()
                return
