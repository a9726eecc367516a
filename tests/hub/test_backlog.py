"""What readers that are a little behind are given from memory: whole, encoded once, without a read, within a budget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from messageflow.core.stream import Item, Publication, Retention
from messageflow.hub import backlog, fan_out, publish_delay
from messageflow.hub.history_limits import HistoryLimits
from messageflow.hub.limits import Limits
from messageflow.hub.reader_sample import CROWD
from messageflow.hub.transport import FramedEncoder
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.hub.links import DistantBroker
from tests.hub.test_reader_probes import count_parts


@pytest.fixture
def broker() -> DistantBroker:
    return DistantBroker()


@pytest.fixture
async def unpaced(broker: DistantBroker) -> AsyncIterator[World]:
    """A hub that gives out one byte of history a second."""
    world = World(Limits(history=HistoryLimits(recovery_rate=1)), broker)
    await world.hub.start()
    yield world
    await world.close()


def data(connection: MemoryConnection, channel: str) -> list[int]:
    return [publication["data"] for publication in connection.publications(channel)]


def encoder_of(connection: MemoryConnection) -> FramedEncoder:
    assert connection.session is not None
    return connection.session.encoder


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets of what was encoded as a push."""
    offsets: list[int] = []
    original = FramedEncoder.publications

    def publications(self: FramedEncoder, channel: str, publications: Sequence[Publication], *, secret: bool) -> bytes:
        offsets.extend(publication.offset for publication in publications)
        return original(self, channel, publications, secret=secret)

    monkeypatch.setattr(FramedEncoder, "publications", publications)
    return offsets


async def test_a_crowd_goes_on_from_memory_without_read_pace_or_encoding(
    unpaced: World, broker: DistantBroker, encoded: list[int]
) -> None:
    crowd = [await unpaced.subscribed(f"user{number}", "open:x") for number in range(20)]
    for connection in crowd:
        connection.fill()
    for number in range(50):
        await unpaced.publish("open:x", number)
    for connection in crowd:
        connection.empty()
    assert all(data(connection, "open:x") == list(range(50)) for connection in crowd)
    assert len(unpaced.hub.channels["open:x"].live) == 20
    assert (broker.reads, unpaced.hub.recovery_limiter.counters.recovery_bytes, encoded) == ([], 0, list(range(1, 51)))
    assert unpaced.hub.backlogs.size == 0


async def test_a_reader_is_written_no_more_than_its_buffer_takes(world: World) -> None:
    slow = await world.subscribed("slow", "open:x")
    slow.fill()
    for number in range(10):
        await world.publish("open:x", number)
    slow.fill(after=4)
    slow.empty()
    await world.settle()
    assert data(slow, "open:x") == [0, 1, 2, 3]
    assert not world.hub.channels["open:x"].live
    slow.empty()
    assert data(slow, "open:x") == list(range(10))


async def test_who_is_behind_further_than_the_window_reaches_is_whole_all_the_same(world: World) -> None:
    slow = await world.subscribed("slow", "short:x")  # it keeps three
    slow.fill()
    for number in range(30):
        await world.publish("short:x", number)
    slow.empty()
    assert (slow.closed, data(slow, "short:x")) == (None, list(range(30)))


async def test_a_reader_whose_turn_comes_late_is_not_cut_off(world: World) -> None:
    """Where one thread reads for hundreds that are far behind, a round of it takes longer than each of them."""
    slow = await world.subscribed("slow", "short:x")  # it keeps three
    slow.fill()
    for number in range(30):
        await world.publish("short:x", number)
    await world.pass_time(15)
    slow.empty()
    assert (slow.closed, data(slow, "short:x")) == (None, list(range(30)))


async def test_without_history_a_slow_reader_goes_on_from_memory(world: World) -> None:
    slow = await world.subscribed("slow", "bare:x")
    slow.fill()
    await world.publish("bare:x", 1, 2)
    slow.empty()
    await world.publish("bare:x", 3)
    assert (slow.closed, data(slow, "bare:x")) == (None, [1, 2, 3])


async def test_what_leaves_the_backlog_comes_from_the_history_and_the_rest_does_not(
    world: World, broker: DistantBroker
) -> None:
    world.hub.backlogs.budget = 2000  # about fifteen of these
    slow = await world.subscribed("slow", "open:x")
    slow.fill()
    for number in range(100):
        await world.publish("open:x", number)
        assert world.hub.backlogs.size <= 2000
    slow.empty()
    await world.settle()
    assert data(slow, "open:x") == list(range(100))
    assert len(broker.reads) == 1


async def test_who_is_given_up_half_way_goes_on_from_the_history_where_it_stands(
    world: World, broker: DistantBroker
) -> None:
    slow = await world.subscribed("slow", "open:x")
    slow.fill()
    for number in range(10):
        await world.publish("open:x", number)
    slow.fill(after=4)
    slow.empty()
    await world.pass_time(backlog.IDLE_AFTER + 1)
    slow.empty()
    await world.settle()
    assert data(slow, "open:x") == list(range(10))
    assert [position.offset for _, position in broker.reads] == [4]
    assert world.hub.recovery_limiter.counters.recovery_bytes > 6 * 50  # what is read keeps to the pace of all reads


async def test_the_largest_backlog_gives_way() -> None:
    world = World()
    await world.hub.start()
    world.hub.backlogs.budget = 16_000
    for name in ("open:x", "open:y"):
        (await world.subscribed(f"slow{name}", name)).fill()
    await world.publish("open:y", 1)
    for number in range(500):
        await world.publish("open:x", number)
    quiet = world.hub.channels["open:y"].backlog
    assert quiet is not None
    assert quiet.get(0) is not None
    await world.close()


async def test_a_flush_larger_than_one_readers_share_is_kept_for_a_few(world: World) -> None:
    slow = await world.subscribed("slow", "open:x")
    slow.fill()
    await world.broker.publish([Item("open:x", b'"%b"' % (b"x" * 60_000), Retention(1, 600))] * 8)
    await world.settle()
    kept = world.hub.channels["open:x"].backlog
    assert kept is not None
    assert kept.size > backlog.EACH
    slow.empty()
    await world.settle()
    assert len(slow.publications("open:x")) == 8  # more than the history has


async def test_one_reader_holds_back_only_so_much(world: World) -> None:
    slow = await world.subscribed("slow", "open:x")
    slow.fill()
    for _ in range(100):
        await world.broker.publish([Item("open:x", b'"%b"' % (b"x" * 60_000), Retention(1000, 600))])
        await world.settle()
    assert backlog.LEAST // 2 < world.hub.backlogs.size <= backlog.LEAST
    slow.empty()
    await world.settle()
    assert len(slow.publications("open:x")) == 100


async def test_nothing_is_kept_for_long_for_a_reader_that_takes_nothing(world: World) -> None:
    sleeping, taking = await world.subscribed("sleeping", "open:x"), await world.subscribed("taking", "open:x")
    sleeping.fill()
    taking.fill()
    for number in range(10):
        await world.publish("open:x", number)
    await world.pass_time(backlog.IDLE_AFTER - 1)
    taking.fill(after=1)
    taking.empty()
    assert world.hub.backlogs.size > 0
    await world.pass_time(2)
    kept = world.hub.channels["open:x"].backlog
    assert kept is not None
    assert (kept.get(0), kept.get(1) is not None) == (None, True)  # what the one needs that still takes something
    await world.pass_time(backlog.IDLE_AFTER)
    assert world.hub.backlogs.size == 0
    sleeping.empty()
    taking.empty()
    await world.settle()
    assert data(sleeping, "open:x") == data(taking, "open:x") == list(range(10))


async def test_who_comes_back_far_behind_meets_the_backlog(
    world: World, broker: DistantBroker, encoded: list[int]
) -> None:
    """Reads end where the backlog goes on, so that a busy channel is caught up with from memory."""
    first = (await world.publish("open:x", *range(1000)))[0].position
    slow = await world.subscribed("slow", "open:x")
    slow.fill()
    for number in range(1000, 1010):
        await world.publish("open:x", number)
    held = {"recover": True, "epoch": first.epoch, "offset": first.offset, "tag": first.tag}
    coming = await world.subscribed("coming", "open:x", **held)
    await world.settle()
    assert data(coming, "open:x") == list(range(1, 1010))
    assert max(position.offset for _, position in broker.reads) < 1000
    assert [offset for offset in encoded if offset > 1000] == list(range(1001, 1011))  # for both
    slow.empty()
    assert data(slow, "open:x") == list(range(1000, 1010))


async def test_who_stands_at_one_place_one_after_the_other_shares_a_chunk(world: World, broker: DistantBroker) -> None:
    world.hub.backlogs.budget = 0
    crowd = [await world.subscribed(f"user{number}", "open:x") for number in range(5)]
    for connection in crowd:
        connection.fill()
    await world.publish("open:x", *range(10))
    for connection in crowd:
        connection.empty()
        await world.settle()
    assert all(data(connection, "open:x") == list(range(10)) for connection in crowd)
    assert len(broker.reads) == 1
    await world.pass_time(0.5)
    assert (
        world.hub.history_reader.chunks.get((world.hub.channels["open:x"], broker.reads[0][1], encoder_of(crowd[0])))
        is None
    )


async def test_what_buffers_share_counts_once(world: World) -> None:
    world = World(Limits(buffer_memory=1 << 20))
    await world.hub.start()
    crowd = [await world.subscribed(f"user{number}", "open:x") for number in range(20)]
    for connection in crowd:
        connection.fill()
    await world.broker.publish([Item("open:x", b'"%b"' % (b"x" * 100_000), Retention(1000, 600))])
    await world.settle()
    kept = world.hub.channels["open:x"].backlog
    assert kept is not None
    batch = kept.get(0)
    assert batch is not None
    buffers = [batch.data[encoder_of(connection)] for connection in crowd]  # as transports hold them
    for connection, held in zip(crowd, buffers, strict=True):
        connection.buffered = len(held)
    await world.pass_time(0.5)  # 2 MB seem to wait
    assert world.hub.counters.shed == 0
    buffers.clear()
    await world.pass_time(0.5)  # now they are not what is kept
    assert world.hub.counters.shed > 0
    await world.close()


async def test_what_buffers_of_a_crowd_that_is_not_behind_share_counts_once_too() -> None:
    world = World(Limits(buffer_memory=1 << 20))
    await world.hub.start()
    crowd = [await world.subscribed(f"user{number}", "open:x") for number in range(CROWD)]
    await world.publish("open:x", 1)
    await world.broker.publish([Item("open:x", b'"%b"' % (b"x" * 20_000), Retention(1000, 600))])
    await world.settle()
    sample = world.hub.channels["open:x"].sample
    assert sample is not None
    buffers = [sample.recent[-1][encoder_of(connection)] for connection in crowd]  # as transports hold them
    for connection in crowd:
        assert connection.session is not None
        world.hub.stalled.add(connection.session)
        connection.buffered = 20_000
    await world.pass_time(0.5)  # 2 MB seem to wait
    assert world.hub.counters.shed == 0
    for connection in crowd:
        connection.buffered = 0
    buffers.clear()
    await world.pass_time(0.5)
    assert not sample.recent
    await world.close()


class Crowded:
    """A channel with many readers that are behind, on a clock that tests move."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.readers: list[MemoryConnection] = []

    async def come(self, count: int, behind: int) -> None:
        self.readers = [await self.world.subscribed(f"user{number}", "open:x") for number in range(count)]
        for connection in self.readers[:behind]:
            connection.fill()
        await self.world.publish("open:x", 1)
        self.world.clock.advance(publish_delay.BEHIND * 2)


ITEMS = [Item("open:x", b"2", Retention(1000, 600))]


async def test_publishing_waits_for_a_crowd_that_is_behind(world: World) -> None:
    crowded = Crowded(world)
    await crowded.come(150, behind=150)
    wait = world.hub.publish_delay.wait(ITEMS)
    assert wait is not None
    waiting = asyncio.ensure_future(count_parts(wait))
    await world.settle()
    assert not waiting.done()
    assert world.hub.publish_delay.wait([Item("open:y", b"2", Retention(1000, 600))]) is None
    for connection in crowded.readers:
        connection.empty()
    world.clock.advance(publish_delay.LOOK_EVERY)
    await asyncio.wait_for(waiting, 10)
    assert world.hub.counters.publishes_delayed == 1


async def test_publishing_waits_only_so_long(world: World) -> None:
    crowded = Crowded(world)
    await crowded.come(150, behind=150)
    wait = world.hub.publish_delay.wait(ITEMS)
    assert wait is not None
    waiting = asyncio.ensure_future(count_parts(wait))
    await world.settle()
    world.clock.advance(publish_delay.LONGEST)
    await asyncio.wait_for(waiting, 10)


@pytest.mark.parametrize(("count", "behind"), [(150, 60), (50, 50), (250, 120)])
async def test_a_few_slow_readers_hold_up_nobody(world: World, count: int, behind: int) -> None:
    await Crowded(world).come(count, behind)
    assert world.hub.publish_delay.wait(ITEMS) is None


async def test_a_crowd_that_sleeps_holds_up_nobody(world: World) -> None:
    await Crowded(world).come(150, behind=150)
    await world.pass_time(2)
    assert world.hub.publish_delay.wait(ITEMS) is None


async def test_a_batch_that_is_under_way_in_slices_is_written_to_each_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "TURN_WRITES", 1)
    crowd = [await world.subscribed(f"user{number}", "open:x") for number in range(6)]
    crowd[0].fill()
    for number in range(3):
        await world.broker.publish([Item("open:x", b"%d" % number, Retention(1000, 600))])
        for _ in range(5):
            await asyncio.sleep(0)
        crowd[number + 1].fill()
        crowd[number].empty()
    crowd[3].empty()
    await world.settle()
    assert all(data(connection, "open:x") == [0, 1, 2] for connection in crowd)
