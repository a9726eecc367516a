"""A crowd is asked how far it has read, and publishing waits for what it answers; never for who does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from messageflow.core.stream import Item, Publication, Retention
from messageflow.dialects.native import NATIVE
from messageflow.gateway.websocket_frames import WebSocketTransport
from messageflow.hub import publish_delay, reader_probes, reader_sample
from messageflow.hub.limits import Limits
from messageflow.hub.transport import framed
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub import one_way_toy
from tests.hub.conftest import World

CHANNEL = "open:x"
ITEMS = [Item(CHANNEL, b"2", Retention(1000, 600))]
MUCH = '"' + "x" * reader_sample.LEAST + '"'
CROWD = 160
SAMPLED = 10  # of so many
MOST = Limits().readers_behind


async def count_parts(parts: AsyncIterator[Sequence[Item]]) -> list[int]:
    """Return how many of the items came in each part."""
    return [len(part) async for part in parts]


class Crowd:
    """Many readers of one channel. Who is asked stays asked until the test lets them answer."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.readers: list[MemoryConnection] = []
        self.asked: list[MemoryConnection] = []

    async def come(self, count: int = CROWD) -> Crowd:
        for number in range(count):
            reader = await self.world.subscribed(f"user{number}", CHANNEL)
            reader.on_probe = self.asked.append
            self.readers.append(reader)
        return self

    async def publish(self, data: str = MUCH) -> None:
        await self.world.publish(CHANNEL, data)

    def answer(self, count: int | None = None) -> None:
        """Let those who are asked answer, or so many of them."""
        answering = self.asked[:count]
        del self.asked[: len(answering)]
        for reader in answering:
            assert reader.session is not None
            self.world.hub.note_read(reader.session)

    async def fall_behind(self) -> None:
        """Keep up at first, then be asked, and take longer to answer than may be."""
        await self.publish("1")
        self.answer()
        await self.publish()
        self.world.clock.advance(MOST * 2)

    def hold_up(self, items: Sequence[Item] = ITEMS) -> asyncio.Task[list[int]] | None:
        parts = self.world.hub.publish_delay.wait(items)
        return None if parts is None else asyncio.ensure_future(count_parts(parts))


@pytest.fixture
async def crowd(world: World) -> Crowd:
    return await Crowd(world).come()


async def test_a_few_of_a_crowd_are_asked_behind_what_is_written(crowd: Crowd) -> None:
    await crowd.publish()
    assert len(crowd.asked) == SAMPLED
    assert all(reader.publications(CHANNEL) for reader in crowd.asked)
    assert crowd.world.hub.counters.read_probes == SAMPLED
    assert crowd.hold_up() is None


async def test_fewer_than_a_crowd_are_not_asked(world: World) -> None:
    crowd = await Crowd(world).come(reader_sample.CROWD - 1)
    await crowd.publish()
    assert not crowd.asked


async def test_a_crowd_that_cannot_answer_is_not_asked(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(World, "carrier", one_way_toy.CARRIER)
    crowd = await Crowd(world).come(reader_sample.CROWD)
    await crowd.publish()
    assert not crowd.asked
    assert not world.hub.counters.read_probes


async def test_nobody_is_asked_where_nobody_is_to_wait() -> None:
    world = World(Limits(readers_behind=0))
    await world.hub.start()
    crowd = await Crowd(world).come(reader_sample.CROWD)
    await crowd.fall_behind()
    assert not crowd.asked
    assert crowd.hold_up() is None
    await world.close()


async def test_publishing_waits_until_a_crowd_has_read(crowd: Crowd) -> None:
    await crowd.fall_behind()
    waiting = crowd.hold_up()
    assert waiting is not None
    await crowd.world.settle()
    assert not waiting.done()
    crowd.answer()
    crowd.world.clock.advance(2 * publish_delay.LOOK_EVERY)
    await asyncio.wait_for(waiting, 10)
    assert crowd.world.hub.counters.publishes_delayed == 1
    assert crowd.world.hub.counters.read_probes_answered == 2 * SAMPLED
    assert crowd.hold_up() is None


async def test_a_publish_waits_for_a_crowd_only_so_long(crowd: Crowd) -> None:
    await crowd.fall_behind()
    waiting = crowd.hold_up()
    assert waiting is not None
    await crowd.world.settle()
    crowd.world.clock.advance(publish_delay.LONGEST)
    await asyncio.wait_for(waiting, 10)


async def test_less_than_half_of_a_crowd_holds_up_nobody(crowd: Crowd) -> None:
    await crowd.publish("1")
    crowd.answer()
    await crowd.publish()
    crowd.answer(SAMPLED // 2 + 1)
    crowd.world.clock.advance(MOST * 2)
    assert crowd.hold_up() is None


async def test_who_never_answers_holds_up_nobody_and_is_given_up(crowd: Crowd) -> None:
    await crowd.publish()
    for _ in range(3):
        await crowd.world.pass_time(2)
        await crowd.publish()
        assert crowd.hold_up() is None
    assert crowd.world.hub.counters.read_probes_unanswered == SAMPLED
    assert len(crowd.asked) == 2 * SAMPLED  # others in their place, and they only once


async def test_who_stops_to_answer_is_waited_for_only_so_long(crowd: Crowd) -> None:
    await crowd.fall_behind()
    waiting = crowd.hold_up()
    assert waiting is not None
    await crowd.world.pass_time(reader_probes.SILENT)
    await asyncio.wait_for(waiting, 10)
    assert crowd.hold_up() is None


async def test_what_is_written_to_a_crowd_whose_pace_is_known_counts_before_it_is_asked(crowd: Crowd) -> None:
    await crowd.publish("1")
    crowd.answer()
    await crowd.publish()
    crowd.world.clock.advance(MOST / 4)
    crowd.answer()  # so it takes a quarter of what may be for this much
    for _ in range(3):
        assert crowd.hold_up() is None
        await crowd.publish()
    crowd.world.clock.advance(2 * publish_delay.LOOK_EVERY)
    assert crowd.hold_up() is None
    await crowd.publish()
    await crowd.publish()
    crowd.world.clock.advance(2 * publish_delay.LOOK_EVERY)
    assert crowd.hold_up() is not None


async def test_a_reader_that_keeps_up_is_not_asked_all_the_time(crowd: Crowd) -> None:
    await crowd.publish("1")
    crowd.answer()
    for _ in range(8):  # until it is known to read in a moment what is written below
        await crowd.publish()
        crowd.answer()
    asked = crowd.world.hub.counters.read_probes
    for _ in range(5):
        await crowd.publish()
        crowd.answer()
    assert crowd.world.hub.counters.read_probes == asked
    crowd.world.clock.advance(2 * reader_sample.EVERY)
    await crowd.publish()
    assert crowd.world.hub.counters.read_probes == asked + SAMPLED


async def test_a_crowd_that_little_is_written_to_is_asked_once(crowd: Crowd) -> None:
    for _ in range(10):
        await crowd.publish("1")
        crowd.answer()
        crowd.world.clock.advance(1)
    assert crowd.world.hub.counters.read_probes == SAMPLED


async def test_an_answer_that_nobody_asked_for_is_no_error(crowd: Crowd) -> None:
    session = crowd.readers[0].session
    assert session is not None
    crowd.world.hub.note_read(session)
    assert not crowd.world.hub.counters.read_probes_answered


async def test_who_leaves_is_replaced_and_nothing_is_left_of_a_crowd_that_is_gone(crowd: Crowd) -> None:
    await crowd.publish()
    crowd.asked[0].lose()
    await crowd.world.pass_time(0.5)
    await crowd.world.settle()
    channel, probes = crowd.world.hub.channels[CHANNEL], crowd.world.hub.read_probes
    sample = channel.sample
    assert sample is not None
    assert crowd.readers[0].session is not None
    assert len({reader.session for reader in sample.readers}) == len(sample.readers)
    for reader in crowd.readers[5:]:
        if reader is not crowd.asked[0]:
            reader.lose()
    await crowd.world.pass_time(0.5)
    assert channel.sample is None
    assert not probes
    assert not probes._asked


async def test_a_reader_whose_socket_is_full_is_not_asked(crowd: Crowd) -> None:
    await crowd.publish()
    crowd.answer()
    for reader in crowd.readers:
        reader.fill()
    crowd.world.clock.advance(1)
    await crowd.publish()
    assert not crowd.asked


@pytest.mark.parametrize("seconds", [0.3, 0.6])
async def test_a_long_way_is_no_slow_reader(crowd: Crowd, seconds: float) -> None:
    for _ in range(6):
        await crowd.publish()
        crowd.world.clock.advance(seconds)
        assert crowd.hold_up() is None
        crowd.answer()
        assert crowd.hold_up() is None


def make_items(count: int, size: int = reader_sample.LEAST) -> list[Item]:
    return [Item(CHANNEL, b"x" * size, Retention(1000, 600)) for _ in range(count)]


async def test_a_new_crowd_is_published_to_only_so_far_ahead_of_its_first_answers(crowd: Crowd) -> None:
    await crowd.publish("1")
    ahead = round(reader_sample.UNKNOWN_PACE * MOST)
    items = make_items(2 * ahead // reader_sample.LEAST)
    waiting = crowd.hold_up(items)
    assert waiting is not None
    crowd.answer()
    crowd.world.clock.advance(publish_delay.LONGEST)
    first, *others = await asyncio.wait_for(waiting, 10)
    assert 0 < first * reader_sample.LEAST <= ahead
    assert first + sum(others) == len(items)


async def test_a_crowd_that_was_never_written_to_is_published_to_only_so_far_ahead(crowd: Crowd) -> None:
    """The first batch would be written before anybody of it was asked."""
    items = make_items(2 * round(reader_sample.UNKNOWN_PACE * MOST) // reader_sample.LEAST)
    waiting = crowd.hold_up(items)
    assert waiting is not None
    crowd.world.clock.advance(publish_delay.LONGEST)
    first, *_ = await asyncio.wait_for(waiting, 10)
    assert 0 < first * reader_sample.LEAST <= reader_sample.UNKNOWN_PACE * MOST


async def test_the_first_that_is_written_to_a_crowd_is_before_it_until_it_answers(crowd: Crowd) -> None:
    await crowd.world.publish(CHANNEL, *[MUCH] * 4)
    sample = crowd.world.hub.channels[CHANNEL].sample
    assert sample is not None
    assert sample.written >= 4 * reader_sample.LEAST
    assert not any(reader.read for reader in sample.readers)
    assert crowd.hold_up() is not None
    crowd.answer()
    assert all(reader.read == sample.written for reader in sample.readers)


async def test_a_new_crowd_that_cannot_answer_is_waited_for_until_it_was_written_to(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr(World, "carrier", one_way_toy.CARRIER)
    crowd = await Crowd(world).come(reader_sample.CROWD)
    items = make_items(2 * round(reader_sample.UNKNOWN_PACE * MOST) // reader_sample.LEAST)
    waiting = crowd.hold_up(items)
    assert waiting is not None
    await crowd.publish("1")
    world.clock.advance(2 * publish_delay.LOOK_EVERY)
    assert sum(await asyncio.wait_for(waiting, 10)) == len(items)
    assert crowd.hold_up(items) is None


def test_a_publication_counts_as_no_less_than_what_is_written_of_it() -> None:
    publication = Publication(12345, "x" * 11, 0.0, b"1")
    written = framed(NATIVE, WebSocketTransport()).publications("bench:all", [publication], secret=True)
    assert len(written) <= len(publication.data) + publish_delay.ENVELOPE < 1.3 * len(written)


async def test_one_quick_answer_does_not_make_a_crowd_quick(crowd: Crowd) -> None:
    await crowd.fall_behind()
    crowd.answer()  # after twice what may be, so half of what was written is as much as may be
    sample = crowd.world.hub.channels[CHANNEL].sample
    assert sample is not None
    slow = crowd.world.hub.read_probes.measure_room(crowd.world.hub.channels[CHANNEL], MOST)
    await crowd.publish()
    crowd.answer()
    once = crowd.world.hub.read_probes.measure_room(crowd.world.hub.channels[CHANNEL], MOST)
    assert slow < once <= 2 * slow


async def test_what_waits_to_be_written_to_a_crowd_counts(crowd: Crowd) -> None:
    await crowd.publish("1")
    crowd.answer()
    await crowd.world.publish_only(CHANNEL, *[MUCH] * round(reader_sample.UNKNOWN_PACE * MOST / reader_sample.LEAST))
    assert crowd.hold_up() is not None


async def test_who_waited_longest_goes_first_and_not_all_at_once(crowd: Crowd) -> None:
    for count in (1, 4, 8, 16, 32, 64):  # each is read at once
        await crowd.world.publish(CHANNEL, *[MUCH] * count)
        crowd.answer()
    room = crowd.world.hub.read_probes.measure_room(crowd.world.hub.channels[CHANNEL], MOST)
    assert room / 2 > 2 * publish_delay.STEP
    await crowd.world.publish_only(CHANNEL, *[MUCH] * round(room / reader_sample.LEAST))
    went: list[int] = []
    waiting: list[asyncio.Task[list[int]]] = []
    for number in range(4):
        task = crowd.hold_up(make_items(1, publish_delay.STEP))
        assert task is not None
        task.add_done_callback(lambda _, number=number: went.append(number))  # type: ignore[misc]
        waiting.append(task)
    await crowd.world.settle()
    crowd.answer()  # now there is room for two
    crowd.world.clock.advance(publish_delay.LOOK_EVERY)
    await asyncio.wait(waiting, timeout=10, return_when="FIRST_COMPLETED")
    assert went == [0]
    crowd.world.clock.advance(publish_delay.LONGEST)
    await asyncio.wait(waiting, timeout=10)
    assert went == [0, 1, 2, 3]


async def test_a_crowd_behind_in_the_gateway_is_still_known(crowd: Crowd) -> None:
    await crowd.fall_behind()
    crowd.answer()
    for reader in crowd.readers:
        reader.fill()
    for _ in range(2):
        await crowd.publish()
    await crowd.world.pass_time(1)
    sample = crowd.world.hub.channels[CHANNEL].sample
    assert sample is not None
    assert len(sample.readers) == SAMPLED
    assert crowd.world.hub.read_probes.measure_room(crowd.world.hub.channels[CHANNEL], MOST) <= 0
    await crowd.world.pass_time(reader_probes.SILENT)
    assert not sample.readers


async def test_a_reader_is_not_believed_to_be_much_farther_than_the_nearest(crowd: Crowd) -> None:
    """The first answer of one that has much before it tells nothing of the way."""
    await crowd.publish("1")
    crowd.answer(1)
    crowd.world.clock.advance(reader_sample.FARTHEST)
    crowd.answer()
    sample = crowd.world.hub.channels[CHANNEL].sample
    assert sample is not None
    await crowd.publish()
    crowd.world.clock.advance(reader_sample.FARTHER + MOST)
    assert crowd.hold_up() is not None
