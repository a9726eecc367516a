"""One end of a link: the order of frames, what is joined into one write, and what it tells its owner."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest

from messageflow.brokers.worker_link import link_connection
from messageflow.brokers.worker_link.framing import encode_length
from messageflow.brokers.worker_link.link_connection import LinkConnection
from messageflow.testing.broker_suite import until

FULL_BYTES = 8 << 20


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


class Written:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.writes.append(data)


Ends = tuple[LinkConnection, Owner, LinkConnection, Owner]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    loop = asyncio.get_running_loop()
    one, other = socket.socketpair()
    here, there = Owner(), Owner()
    _, first = await loop.connect_accepted_socket(lambda: LinkConnection(here, FULL_BYTES), one)
    _, second = await loop.connect_accepted_socket(lambda: LinkConnection(there, FULL_BYTES), other)
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


def joined(*frames: bytes) -> bytes:
    return b"".join(encode_length(len(frame)) + frame for frame in frames)


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
async def connection(written: Written) -> LinkConnection:
    made = LinkConnection(Answering(), FULL_BYTES)
    made.connection_made(cast(asyncio.Transport, written))
    return made


class Answering(Owner):
    """Answers every frame with itself."""

    def link_frames(self, connection: LinkConnection, frames: list[bytes]) -> None:
        for frame in frames:
            connection.send(frame)


async def test_the_first_frame_of_a_turn_is_written_at_once_and_the_others_together_at_its_end(
    connection: LinkConnection, written: Written
) -> None:
    for _ in range(2):
        written.writes.clear()
        connection.send(b"one")
        connection.send(b"two")
        connection.send(b"three")
        assert written.writes == [joined(b"one")]
        await asyncio.sleep(0)
        assert written.writes == [joined(b"one"), joined(b"two", b"three")]


async def test_what_waits_for_the_end_of_a_turn_is_sent_before_the_link_is_closed(ends: Ends) -> None:
    first, _, _, there = ends
    for _ in range(3):
        first.send(b"sent")
    first.close()
    await until(lambda: bool(there.lost))
    assert there.frames == [b"sent"] * 3


async def test_no_more_is_held_than_may_be(
    connection: LinkConnection, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_connection, "HELD_BYTES", 1000)
    connection.data_received(joined(*[bytes(100)] * 20))
    assert written.writes == [joined(*[bytes(100)] * 11), joined(*[bytes(100)] * 9)]


async def test_frames_that_came_together_are_answered_in_one_write(
    connection: LinkConnection, written: Written
) -> None:
    connection.data_received(joined(b"one", b"two", b"three"))
    assert written.writes == [joined(b"one", b"two", b"three")]
    connection.data_received(joined(b"four"))
    assert written.writes[1:] == [joined(b"four")]


async def test_an_end_that_reads_nothing_is_full_and_says_when_it_is_not(ends: Ends) -> None:
    first, here, second, there = ends
    second._transport.pause_reading()
    sent = 0
    while not first.full:
        first.send(bytes(100_000))
        sent += 1
        await asyncio.sleep(0)
    assert first.waiting >= FULL_BYTES
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
