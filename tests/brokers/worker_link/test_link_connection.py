"""One end of a link: the order of frames, what is joined into one write, and what it tells its owner."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest

from messageflow.brokers.worker_link.framing import encode_length
from messageflow.brokers.worker_link.link_connection import HIGH_WATER, LinkConnection
from messageflow.testing.broker_suite import until


class Owner:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.rooms = 0
        self.lost: list[str] = []

    def link_made(self, connection: LinkConnection) -> None:
        pass

    def link_frames(self, connection: LinkConnection, frames: list[bytes]) -> None:
        self.frames += frames

    def link_room(self, connection: LinkConnection) -> None:
        self.rooms += 1

    def link_lost(self, connection: LinkConnection, why: str) -> None:
        self.lost.append(why)


class BusyTransport:
    """Takes what it is given to its buffer until the turn of the loop is over, as uvloop's do."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.waiting += len(data)


Ends = tuple[LinkConnection, Owner, LinkConnection, Owner]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    loop = asyncio.get_running_loop()
    one, other = socket.socketpair()
    here, there = Owner(), Owner()
    _, first = await loop.connect_accepted_socket(lambda: LinkConnection(here), one)
    _, second = await loop.connect_accepted_socket(lambda: LinkConnection(there), other)
    yield first, here, second, there
    for end in (first, second):
        end.abort("the test is over")
    await until(lambda: bool(here.lost and there.lost))


async def test_frames_arrive_in_the_order_in_which_they_were_sent(ends: Ends) -> None:
    first, _, _, there = ends
    sent = [b"%d" % number * (number % 300) for number in range(20_000)]
    for number, frame in enumerate(sent):
        first.send(frame)
        if not number % 1000:
            await asyncio.sleep(0)
    await until(lambda: len(there.frames) == len(sent))
    assert there.frames == sent


async def test_the_first_frame_of_a_turn_is_written_at_once_and_many_are_joined() -> None:
    connection, transport = LinkConnection(Owner()), BusyTransport()
    connection.connection_made(cast(asyncio.Transport, transport))
    frames = [b"%500d" % number for number in range(100)]
    connection.send(frames[0])
    assert transport.written == [encode_length(500) + frames[0]]
    for frame in frames[1:-1]:
        connection.send(frame)
    transport.waiting = 0  # it has written what it had; what is joined is still before what comes now
    connection.send(frames[-1])
    await asyncio.sleep(0)
    assert b"".join(transport.written) == b"".join(encode_length(500) + frame for frame in frames)
    assert len(transport.written) < 8


async def test_an_end_that_reads_nothing_is_full_and_says_when_it_is_not(ends: Ends) -> None:
    first, here, second, there = ends
    second._transport.pause_reading()
    sent = 0
    while not first.full:
        first.send(bytes(100_000))
        sent += 1
        await asyncio.sleep(0)
    assert first.waiting >= HIGH_WATER
    assert here.rooms == 0
    second._transport.resume_reading()
    await until(lambda: len(there.frames) == sent)
    assert (here.rooms, first.full) == (1, False)


async def test_what_was_sent_arrives_before_the_end_is_told(ends: Ends) -> None:
    first, _, _, there = ends
    for _ in range(100):
        first.send(bytes(10_000))
    first.close()
    await until(lambda: bool(there.lost))
    assert len(there.frames) == 100


async def test_garbage_ends_the_link_and_both_are_told(ends: Ends) -> None:
    first, here, _, there = ends
    first._transport.write(b"no frame")
    await until(lambda: bool(here.lost and there.lost))
    assert "no frame" in there.lost[0]


async def test_on_a_link_that_is_lost_nothing_is_sent(ends: Ends) -> None:
    first, here, _, there = ends
    first.abort("as the test wants it")
    first.send(b"late")
    await until(lambda: bool(there.lost))
    assert (here.lost, there.frames) == (["as the test wants it"], [])
