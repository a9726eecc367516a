"""Compressed frames: what 1,000 subscribers of 1 KiB of JSON cost in CPU and bytes, with and without."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial

import uvloop

from benchmarks.figures import Figure, at_least_times_peer, at_most_times_peer
from benchmarks.plan import MakeServer, Plan
from benchmarks.servers.base import Server, running
from benchmarks.servers.gateway import API_KEY, CHANNEL, first_frames, with_flags
from messageflow import AsyncFlow

SUBSCRIBERS = 1000
WAIT_SECONDS = 120.0
METHOD = (
    f"{SUBSCRIBERS} subscribers of one channel that offer permessage-deflate as browsers do, in one Python process "
    "that reads the lengths of frames and nothing else; one client publishes 1 KiB of JSON, rows of a table with "
    "names, states and numbers that change, each as soon as the one before is answered. CPU of the gateway, the HTTP "
    "requests included, and bytes of frames, by delivery; with --compression and without, in turns of fresh processes."
)


def document(number: int) -> dict[str, object]:
    """The JSON of one publication, about 1 KiB."""
    chance = random.Random(number)
    rows = [
        {
            "id": 1000 + row,
            "name": chance.choice(("alice", "bob", "carol", "dave", "erin")),
            "state": chance.choice(("open", "closed", "waiting")),
            "amount": chance.randrange(100, 9999),
        }
        for row in range(17)
    ]
    return {"board": number, "rows": rows, "updated": f"2026-11-29T12:00:{number % 60:02}Z"}


class Cost:
    """What one side took: microseconds of CPU and bytes for each delivery."""

    def __init__(self, cpu: float, size: float) -> None:
        self.cpu, self.size = cpu, size

    def __str__(self) -> str:
        return f"{self.cpu:.3g} µs, {self.size:.4g} bytes"


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    publications = plan.of(short=100, full=500)
    with_it, without = plan.alternate(
        compressed=lambda: sample(plan, with_flags("--compression"), publications),
        plain=lambda: sample(plan, plan.ours, publications),
    )
    cpu = tuple(one.cpu for one in with_it), tuple(one.cpu for one in without)
    size = tuple(1 / one.size for one in with_it), tuple(1 / one.size for one in without)
    costs, less = (at_most_times_peer(1.3),), (at_least_times_peer(3.0),)
    return [
        Figure("CPU per delivery of 1 KiB of JSON, compressed", "µs", cpu[0], "plain", cpu[1], costs),
        Figure("deliveries in a byte, compressed", "1/B", size[0], "plain", size[1], less),
    ]


def sample(plan: Plan, make: MakeServer, publications: int) -> Cost:
    """Measure a fresh gateway."""
    server = make(plan.scratch)
    with running(server, plan.scratch) as process, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        readers = runner.run(come(server))
        used, read = process.cpu_seconds(), sum(reader.bytes for reader in readers)
        runner.run(publish(server, readers, publications))
        deliveries = SUBSCRIBERS * publications
        size = sum(reader.bytes for reader in readers) - read
        return Cost((process.cpu_seconds() - used) / deliveries * 1e6, size / deliveries)


class Reader(asyncio.Protocol):
    """A subscriber that counts the frames it is sent and their bytes."""

    def __init__(self, first: str) -> None:
        self.bytes = 0
        self.frames = -2  # two answers come before what is published
        self._first = first.encode()
        self._rest = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.write(
            b"GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._is_open:
            if b"\r\n\r\n" not in data:
                self._rest = data
                return
            self._is_open, data = True, data.partition(b"\r\n\r\n")[2]
            self._transport.write(_mask(self._first))
        at = 0
        while (end := _end_of_frame(data, at)) is not None:
            self.bytes += end - at
            self.frames += data[at + 1 : end] != b"\x02{}"
            at = end
        self._rest = data[at:]


def _mask(message: bytes) -> bytes:
    size = len(message)
    length = bytes([0x80 | size]) if size < 126 else bytes([0xFE, size >> 8, size & 255])
    return b"\x81" + length + bytes(4) + message


def _end_of_frame(data: bytes, at: int) -> int | None:
    if len(data) < at + 4:
        return at + 2 + data[at + 1] if len(data) >= at + 2 and len(data) >= at + 2 + data[at + 1] else None
    size, start = data[at + 1], at + 2
    if size == 126:
        size, start = data[at + 2] << 8 | data[at + 3], at + 4
    return start + size if len(data) >= start + size else None


def _same(reader: Reader) -> Reader:
    return reader


async def come(server: Server) -> list[Reader]:
    """Connect and subscribe all."""
    loop, readers = asyncio.get_running_loop(), [Reader(first) for first in first_frames(SUBSCRIBERS)]
    for reader in readers:
        await loop.create_connection(partial(_same, reader), "127.0.0.1", server.port)
    await wait_for(readers, 0)
    return readers


async def publish(server: Server, readers: Sequence[Reader], publications: int) -> None:
    """Publish one after the other, and return when all have all."""
    async with AsyncFlow(f"http://127.0.0.1:{server.port}", api_key=API_KEY) as flow:
        for number in range(publications):
            await flow.publish(CHANNEL, document(number))
    await wait_for(readers, publications)


async def wait_for(readers: Sequence[Reader], frames: int) -> None:
    """Return when each has been sent so many publications."""
    async with asyncio.timeout(WAIT_SECONDS):
        while any(reader.frames < frames for reader in readers):  # noqa: ASYNC110 - an event would be set a million times
            await asyncio.sleep(0.01)
