"""Each fault of the proxy, shown on real sockets: what the two sides feel, and that the proxy says it happened."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator

import pytest

from tests.faults.proxy import DOWN, UP, Faults, Proxy

PATIENCE = 10.0
"""Seconds after which a test that waits has failed; none of them comes near it."""

MOMENT = 0.15
"""Seconds in which nothing may come where nothing is to come."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Target:
    """A server that hands out its ends of the connections made to it."""

    def __init__(self) -> None:
        self._accepted: asyncio.Queue[Ends] = asyncio.Queue()
        self.ends: list[Ends] = []
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(lambda r, w: self._accepted.put_nowait((r, w)), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def accepted(self) -> Ends:
        ends = await asyncio.wait_for(self._accepted.get(), PATIENCE)
        self.ends.append(ends)
        return ends

    async def stop(self) -> None:
        self._server.close()
        for _, writer in self.ends:
            writer.transport.abort()


class Wire:
    """A link through the proxy, with both ends in hand."""

    def __init__(self, proxy: Proxy, target: Target) -> None:
        self.proxy = proxy
        self.target = target
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[Ends, Ends]:
        """Return the end of who connected and the end of the target."""
        here = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        self._writers.append(here[1])
        return here, await self.target.accepted()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    target = Target()
    await target.start()
    proxy = Proxy(target.port, window=4096, chance=random.Random(1))
    await proxy.start()
    wire = Wire(proxy, target)
    yield wire
    wire.close()
    await proxy.stop()
    await target.stop()
    await asyncio.sleep(0)  # aborted transports close their sockets in the next turn


async def read(ends: Ends, size: int) -> bytes:
    return await asyncio.wait_for(ends[0].readexactly(size), PATIENCE)


async def assert_silent(ends: Ends) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ends[0].read(1), MOMENT)


async def assert_reset(ends: Ends) -> None:
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(ends[0].read(1), PATIENCE)


async def fired(proxy: Proxy, name: str) -> int:
    """Return the count once the fault has happened."""
    for _ in range(int(PATIENCE / 0.005)):
        if proxy.fired[name]:
            break
        await asyncio.sleep(0.005)
    return proxy.fired[name]


async def test_a_healthy_link_carries_everything_both_ways_and_the_end_of_it(wire: Wire) -> None:
    here, there = await wire.connect()
    data = random.Random(2).randbytes(300_000)
    here[1].write(data)
    assert await read(there, len(data)) == data
    there[1].write(data)
    assert await read(here, len(data)) == data
    here[1].write_eof()
    assert await asyncio.wait_for(there[0].read(), PATIENCE) == b""
    there[1].write(b"last words")
    there[1].close()
    assert await asyncio.wait_for(here[0].read(), PATIENCE) == b"last words"
    assert not wire.proxy.fired["reset_peer"]


async def test_a_target_that_is_not_there_resets_who_connects() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = Proxy(unused.getsockname()[1])
        await proxy.start()
        here = await asyncio.open_connection("127.0.0.1", proxy.port)
        await assert_reset(here)
        here[1].close()
        await proxy.stop()


async def test_a_side_that_crashes_resets_the_other(wire: Wire) -> None:
    here, there = await wire.connect()
    there[1].write(b"ready")
    await read(here, 5)
    here[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    here[1].transport.abort()
    await assert_reset(there)


async def test_latency_delays_and_keeps_the_order(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(latency=0.1, jitter=0.05))
    began = asyncio.get_running_loop().time()
    for number in range(20):
        here[1].write(bytes([number]))
        await asyncio.sleep(0.001)
    assert await read(there, 20) == bytes(range(20))
    assert asyncio.get_running_loop().time() - began >= 0.1
    assert wire.proxy.fired["latency"] == 20


async def test_bandwidth_limits_the_rate(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(bandwidth=20_000))
    began = asyncio.get_running_loop().time()
    here[1].write(bytes(4000))
    assert await read(there, 4000) == bytes(4000)
    assert asyncio.get_running_loop().time() - began >= 0.15
    assert wire.proxy.fired["bandwidth"] == 4000


async def test_a_slicer_writes_small_pieces(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(slice_size=3, slice_pause=0.005))
    here[1].write(b"0123456789")
    assert len(await asyncio.wait_for(there[0].read(100), PATIENCE)) <= 6
    assert await fired(wire.proxy, "slicer") >= 1


async def test_a_cut_resets_both_sides_and_lets_new_connections_through(wire: Wire) -> None:
    here, there = await wire.connect()
    here[1].write(b"x")
    await read(there, 1)
    assert wire.proxy.cut() == 1
    await assert_reset(here)
    await assert_reset(there)
    again, there_again = await wire.connect()
    again[1].write(b"y")
    assert await read(there_again, 1) == b"y"
    assert wire.proxy.fired["reset_peer"] == 1
    assert wire.proxy.connections == 1


async def test_limit_data_resets_after_so_many_bytes(wire: Wire) -> None:
    here, there = await wire.connect()
    here[1].write(bytes(500))
    await read(there, 500)
    wire.proxy.set(Faults(limit=100))
    here[1].write(bytes(60))
    await read(there, 60)
    here[1].write(bytes(60))
    await assert_reset(here)
    assert wire.proxy.fired["limit_data"] == 1


async def test_in_a_black_hole_bytes_vanish_both_ways_and_nobody_is_told(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(discards=frozenset({UP, DOWN})))
    here[1].write(b"to nowhere")
    there[1].write(b"to nowhere either")
    await assert_silent(there)
    await assert_silent(here)
    assert wire.proxy.fired["timeout"] == 27
    here[1].close()
    await assert_silent(there)


async def test_a_connection_that_lost_bytes_is_reset_when_the_link_heals(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(discards=frozenset({UP, DOWN})))
    here[1].write(b"lost")
    await fired(wire.proxy, "timeout")
    wire.proxy.heal()
    await assert_reset(here)
    await assert_reset(there)


async def test_a_connection_that_lost_nothing_outlives_a_black_hole(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(discards=frozenset({UP, DOWN})))
    wire.proxy.heal()
    here[1].write(b"whole")
    assert await read(there, 5) == b"whole"


async def test_a_half_open_link_carries_one_direction_only(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(discards=frozenset({DOWN})))
    here[1].write(b"up")
    assert await read(there, 2) == b"up"
    there[1].write(b"down")
    await assert_silent(here)
    assert wire.proxy.fired["half_open_down"] == 4
    assert not wire.proxy.fired["half_open_up"]


async def test_a_half_open_link_hides_that_a_side_has_gone(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(discards=frozenset({UP})))
    here[1].write(b"up")
    await fired(wire.proxy, "half_open_up")
    here[1].transport.abort()
    await assert_silent(there)


async def test_a_paused_link_holds_everything_and_loses_nothing(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(paused=True))
    here[1].write(b"held back")
    await assert_silent(there)
    assert wire.proxy.fired["pause"] == 9
    wire.proxy.heal()
    assert await read(there, 9) == b"held back"


async def test_a_paused_link_makes_the_sender_wait(wire: Wire) -> None:
    here, there = await wire.connect()
    wire.proxy.set(Faults(paused=True))
    here[1].transport.set_write_buffer_limits(high=1)
    here[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    data = bytes(1_000_000)  # more than the kernel takes on the way in
    here[1].write(data)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(here[1].drain(), MOMENT)
    wire.proxy.heal()
    assert len(await read(there, len(data))) == len(data)


async def test_a_client_that_does_not_read_is_felt_and_counted(wire: Wire) -> None:
    here, there = await wire.connect()
    here[0]._transport.pause_reading()  # type: ignore[attr-defined]
    there[1].write(bytes(8_000_000))
    assert await fired(wire.proxy, "blocked") >= 1
