"""The contracts of `brokers.base` as tests, for every backend alike: one suite a contract, and one of them all.

Derive a class from `BrokerSuite` in a test module and give it a fixture `broker`, started with the fixture `sink`; or
from the suite of one contract, and give it the fixture that its docstring names:

    class TestMine(BrokerSuite):
        @pytest.fixture
        async def broker(self, sink: RecordingSink) -> AsyncIterator[Broker]:
            ...

Tests wait for what is delivered, since a backend may take its time.
"""

from __future__ import annotations

import asyncio

import pytest
from msgspec import Raw
from msgspec.structs import replace

from messageflow.brokers.base import Broker, Delivery, NodeMessages, PresenceStore, ReservationStore, StreamStore
from messageflow.core.client_info import ClientInfo
from messageflow.core.protocol import Joined, Left
from messageflow.core.stream import Item, Position, Retention
from messageflow.core.versions import Version
from messageflow.errors import Unrecoverable
from messageflow.testing.recording_sink import KEPT as KEPT
from messageflow.testing.recording_sink import NOT_KEPT as NOT_KEPT
from messageflow.testing.recording_sink import PATIENCE
from messageflow.testing.recording_sink import RecordingSink as RecordingSink
from messageflow.testing.recording_sink import items as items
from messageflow.testing.recording_sink import until as until
from messageflow.testing.version_suite import VersionDeliverySuite, VersionSuite


class StreamSuite(VersionSuite):
    """What holds for every `StreamStore`; the fixture `streams` is one."""

    async def test_offsets_rise_by_one_and_receipts_name_the_level(self, streams: StreamStore) -> None:
        stored = await streams.publish(items("x", 1, 2, 3))
        assert [s.position.offset for s in stored] == [1, 2, 3]
        assert {s.ack for s in stored} <= {"memory", "os", "disk", "replicated"}
        assert len({s.position.epoch for s in stored}) == 1
        assert (await streams.read_page("x")).position == stored[2].position

    async def test_since_gives_the_rest_or_refuses(self, streams: StreamStore) -> None:
        stored = await streams.publish(items("x", 1, 2, 3))
        rest = await streams.read_since("x", stored[0].position)
        assert [p.data for p in rest.publications] == [b"2", b"3"]
        assert rest.position == stored[2].position
        assert [p.data for p in (await streams.read_since("x", stored[0].position, 1)).publications] == [b"2"]
        for lost in (
            Position("another", 1),
            Position(stored[0].position.epoch, 9),
            stored[0].position._replace(tag="no"),
        ):
            with pytest.raises(Unrecoverable):
                await streams.read_since("x", lost)

    async def test_who_stood_at_the_beginning_of_a_channel_misses_nothing(self, streams: StreamStore) -> None:
        empty = (await streams.read_page("x")).position
        assert empty.offset == 0
        assert (await streams.read_since("x", empty)).publications == []
        await streams.publish(items("x", 1))
        assert [p.data for p in (await streams.read_since("x", empty)).publications] == [b"1"]

    async def test_the_size_of_a_channel_bounds_its_history(self, streams: StreamStore) -> None:
        stored = await streams.publish(items("x", *range(10), retention=Retention(3, 60)))
        assert [p.offset for p in (await streams.read_page("x", None, 100)).publications] == [8, 9, 10]
        assert len((await streams.read_since("x", stored[6].position)).publications) == 3
        with pytest.raises(Unrecoverable):
            await streams.read_since("x", stored[5].position)

    async def test_pages_go_both_ways(self, streams: StreamStore) -> None:
        await streams.publish(items("x", 1, 2, 3, 4))
        assert [p.offset for p in (await streams.read_page("x", 1, 2)).publications] == [2, 3]
        assert [p.offset for p in (await streams.read_page("x", 3, 9, reverse=True)).publications] == [2, 1]
        far = 2**63 - 1
        assert not (await streams.read_page("x", far, 9)).publications
        assert [p.offset for p in (await streams.read_page("x", far, 1, reverse=True)).publications] == [4]
        assert (await streams.read_page("x", None, 0)).publications == []

    async def test_a_read_is_bounded_in_bytes(self, streams: StreamStore) -> None:
        kept = [Item("x", b'"%b"' % (b"d" * 1000), KEPT)] * 100
        first = (await streams.publish(kept))[0].position
        for size in (1, 5000, 50_000, 500_000):
            least, most = max(1, min(99, size // 1200)), max(1, min(99, size // 1000))
            for read in (
                streams.read_since("x", first, 1000, size),
                streams.read_since("x", first, None, size),
                streams.read_page("x", 1, 1000, size),
                streams.read_page("x", 100, 1000, size, reverse=True),
            ):
                found = [p.offset for p in (await read).publications]
                assert least <= len(found) <= most
                start, step = (99, -1) if found[0] == 99 else (2, 1)
                assert found == list(range(start, start + step * len(found), step))
        assert len((await streams.read_since("x", first, 10, 50_000)).publications) == 10

    async def test_removed_history_is_gone_and_offsets_go_on(self, streams: StreamStore) -> None:
        stored = await streams.publish(items("x", 1, 2))
        await streams.remove_history("x")
        assert (await streams.read_page("x", None, 9)).publications == []
        with pytest.raises(Unrecoverable):
            await streams.read_since("x", stored[0].position)
        assert (await streams.publish(items("x", 3)))[0].position.offset == 3
        assert [p.data for p in (await streams.read_since("x", stored[1].position)).publications] == [b"3"]

    async def test_cancelled_publishes_leave_the_broker_whole(self, streams: StreamStore) -> None:
        tasks = [asyncio.ensure_future(streams.publish(items("x", number))) for number in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        offsets = [each[0].position.offset for each in outcomes if not isinstance(each, BaseException)]
        assert len(offsets) >= 10
        kept = (await streams.read_page("x", None, 100)).publications
        assert [p.offset for p in kept] == list(range(1, len(kept) + 1))
        assert set(offsets) <= {p.offset for p in kept}

    async def test_a_channel_without_history_keeps_nothing(self, streams: StreamStore) -> None:
        assert (await streams.publish(items("x", 1, retention=NOT_KEPT)))[0].position == Position("", 0, "")
        assert (await streams.read_page("x", None, 9)).publications == []

    async def test_a_repeated_key_is_stored_once(self, streams: StreamStore) -> None:
        item = Item("x", b"1", KEPT, key="k")
        [first] = await streams.publish([item])
        assert await streams.publish([item, item]) == [first, first]
        assert [p.data for p in (await streams.read_page("x", None, 9)).publications] == [b"1"]


class DeliverySuite(VersionDeliverySuite):
    """What holds for every `Delivery`; the fixture `delivery` is one for `sink`, of what `streams` publishes."""

    @pytest.fixture
    def sink(self) -> RecordingSink:
        return RecordingSink()

    async def test_only_subscribed_channels_are_delivered_in_order(
        self, streams: StreamStore, delivery: Delivery, sink: RecordingSink
    ) -> None:
        await delivery.subscribe("x")
        await streams.publish([*items("x", 1, 2), *items("xy", 9), *items("x", 3)])
        await until(lambda: len(sink.publications) == 3)
        assert [(channel, p.data, p.offset) for channel, p in sink.publications] == [
            ("x", b"1", 1),
            ("x", b"2", 2),
            ("x", b"3", 3),
        ]

    async def test_what_is_delivered_is_what_is_read(
        self, streams: StreamStore, delivery: Delivery, sink: RecordingSink
    ) -> None:
        await delivery.subscribe("x")
        await streams.publish([Item("x", b'{"a":"\xc3\xa9"}', KEPT, info=b'{"user":"u"}', tags=b'{"t":"1"}')])
        await until(lambda: len(sink.publications) == 1)
        delivered = sink.publications[0][1]
        read = (await streams.read_page("x", None, 1)).publications[0]
        assert replace(delivered, time=0) == replace(read, time=0)
        assert (read.data, read.info, read.tags) == (b'{"a":"\xc3\xa9"}', b'{"user":"u"}', b'{"t":"1"}')

    async def test_what_is_rarely_said_of_a_publication_is_told_wherever_it_is_read(
        self, streams: StreamStore, delivery: Delivery, sink: RecordingSink
    ) -> None:
        await delivery.subscribe("x")
        version, said = Version(1, "an epoch; or 2"), [("a-_9", 0), ("a-_9", 2), ("", 1), ("", 0)]
        items = [Item("x", b"1", kept, exclude=who, flags=flags) for kept in (KEPT, NOT_KEPT) for who, flags in said]
        await streams.publish([*items, Item("x", b"1", KEPT, exclude="b", flags=3, version=version)])
        await streams.publish([Item("x", b"1", KEPT, flags=3, version=version)])  # which the channel has
        await until(lambda: len(sink.publications) == 9)
        assert [(p.exclude, p.flags) for _, p in sink.publications] == [*said, *said, ("b", 3)]
        page = (await streams.read_page("x", None, 9)).publications
        assert [(p.exclude, p.flags) for p in page] == [*said, ("b", 3)]

    async def test_an_unsubscribed_channel_is_delivered_no_longer(
        self, streams: StreamStore, delivery: Delivery, sink: RecordingSink
    ) -> None:
        await delivery.subscribe("x")
        await delivery.subscribe("y")
        delivery.unsubscribe("x")
        await delivery.subscribe("z")  # calls take effect in order: once this returns, the one before has
        await streams.publish(items("x", 1))
        await streams.publish(items("y", 2))
        await until(lambda: bool(sink.publications))
        assert [channel for channel, _ in sink.publications] == ["y"]

    async def test_a_channel_subscribed_again_is_delivered_again(
        self, streams: StreamStore, delivery: Delivery, sink: RecordingSink
    ) -> None:
        await delivery.subscribe("x")
        delivery.unsubscribe("x")
        await delivery.subscribe("x")
        await streams.publish(items("x", 1))
        await until(lambda: len(sink.publications) == 1)

    async def test_who_gives_up_subscribing_keeps_nobody_from_it(
        self, streams: StreamStore, delivery: Delivery, broker: Broker, sink: RecordingSink
    ) -> None:
        for turns in range(30):  # so that some give up before anything was sent, and some when it was just answered
            visits = [asyncio.ensure_future(delivery.subscribe("x")) for _ in range(2)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for visit in visits:
                visit.cancel()
            await asyncio.gather(*visits, return_exceptions=True)
            delivery.unsubscribe("x")
        async with asyncio.timeout(PATIENCE):
            await delivery.subscribe("x")
        await streams.publish(items("x", 1))
        await until(lambda: bool(sink.publications))
        assert broker.trouble == ""

    async def test_a_channel_without_history_gives_no_offset(
        self, streams: StreamStore, delivery: Delivery, sink: RecordingSink
    ) -> None:
        await delivery.subscribe("x")
        stored = await streams.publish(items("x", 1, retention=NOT_KEPT))
        assert stored[0].position == Position("", 0, "")
        await until(lambda: len(sink.publications) == 1)
        assert sink.publications[0][1].offset == 0

    async def test_a_repeated_key_gives_the_first_outcome_and_is_delivered_once(
        self, streams: StreamStore, delivery: Delivery, sink: RecordingSink
    ) -> None:
        await delivery.subscribe("x")
        item = Item("x", b"1", KEPT, key="k")
        first, second = await asyncio.gather(streams.publish([item]), streams.publish([item]))
        assert first == second
        assert await streams.publish([item, item]) == first * 2
        assert (await streams.publish([Item("y", b"1", KEPT, key="k")]))[0].position.offset == 1  # keys are a channel's
        await streams.publish(items("x", 2))
        await until(lambda: len(sink.publications) == 2)
        assert [p.data for _, p in sink.publications] == [b"1", b"2"]

    async def test_names_are_no_syntax(self, streams: StreamStore, delivery: Delivery, sink: RecordingSink) -> None:
        names = ["a", "a*", "*", "a.b", "a:b", "#u", "{a}", "ä", "a b", "%s", "a'--", "x" * 200]
        for name in names:
            await delivery.subscribe(name)
        await streams.publish([item for name in names for item in items(name, 1)])
        await until(lambda: len(sink.publications) >= len(names))
        assert sorted(channel for channel, _ in sink.publications) == sorted(names)
        for name in names:
            assert (await streams.read_page(name)).position.offset == 1


class PresenceSuite:
    """What holds for every `PresenceStore`; the fixture `presence` is one, told to `sink` by `delivery`."""

    @pytest.fixture
    def sink(self) -> RecordingSink:
        return RecordingSink()

    async def test_presence_is_kept_and_told_as_asked(
        self, delivery: Delivery, presence: PresenceStore, sink: RecordingSink
    ) -> None:
        alice, tab = ClientInfo("alice", "a"), ClientInfo("alice", "b")
        await delivery.subscribe("x")
        await presence.join("x", alice, keep=True, tell=True)
        await presence.join("x", tab, keep=True, tell=False)
        await presence.join("x", ClientInfo("bob", "c"), keep=False, tell=True)
        assert set(await presence.read_presence("x")) == {"a", "b"}
        assert tuple(await presence.count_presence("x")) == (2, 1)
        assert await presence.find_occupied(["x", "nobody's", "x"]) == {"x"}
        assert await presence.find_occupied([]) == set()
        await presence.leave("x", alice, tell=True)
        assert set(await presence.read_presence("x")) == {"b"}
        await until(lambda: len(sink.pushes) == 3)
        assert [type(push) for _, push in sink.pushes] == [Joined, Joined, Left]

    async def test_who_is_entered_again_is_there_once_as_they_are_now(self, presence: PresenceStore) -> None:
        await presence.join("x", ClientInfo("alice", "a", Raw(b'{"n":1}')), keep=True, tell=False)
        await presence.join("x", ClientInfo("alice", "a", Raw(b'{"n":2}')), keep=True, tell=False)
        found = await presence.read_presence("x")
        assert {client: (info.user, info.conn_info) for client, info in found.items()} == {
            "a": ("alice", Raw(b'{"n":2}'))
        }
        assert tuple(await presence.count_presence("x")) == (1, 1)
        await presence.leave("x", ClientInfo("alice", "a"), tell=False)
        assert await presence.read_presence("x") == {}
        assert tuple(await presence.count_presence("x")) == (0, 0)
        assert await presence.find_occupied(["x"]) == set()


class ReservationSuite:
    """What holds for every `ReservationStore`; the fixture `reservations` is one."""

    async def test_a_key_of_a_user_is_reserved_once(self, reservations: ReservationStore) -> None:
        for user, key in (("alice", "k"), ("bob", "k"), ("", "k"), ("alice", "k:{2} *\n"), ("ali", "cek")):
            assert await reservations.reserve(user, key) == ("mine", b"")
            assert await reservations.reserve(user, key) == ("running", b"")
            assert await reservations.reserve(user, key, 0.5) == ("running", b"")
        await reservations.settle("alice", "k", b"what came of it")
        assert await reservations.reserve("alice", "k", 0.5) == ("ended", b"what came of it")
        assert await reservations.reserve("bob", "k") == ("running", b"")
        await reservations.settle("bob", "k", b"")
        assert await reservations.reserve("bob", "k") == ("ended", b"")

    async def test_of_many_at_once_one_reserves_it(self, reservations: ReservationStore) -> None:
        found = await asyncio.gather(*[reservations.reserve("alice", "k") for _ in range(20)])
        assert sorted(each.state for each in found) == ["mine"] + ["running"] * 19

    async def test_what_was_not_done_is_reserved_anew(self, reservations: ReservationStore) -> None:
        await reservations.reserve("alice", "k")
        await reservations.settle("alice", "k", None)
        assert await reservations.reserve("alice", "k") == ("mine", b"")

    async def test_what_may_have_been_reserved_before_memory_begins_is_unknown(
        self, reservations: ReservationStore
    ) -> None:
        assert await reservations.reserve("alice", "k", 1_000_000.0) == ("unknown", b"")
        assert await reservations.reserve("alice", "k", 1_000_000.0) == ("unknown", b"")


class NodeMessagesSuite:
    """What holds for all `NodeMessages`; the fixture `nodes` is them, of a node alone with `sink`."""

    @pytest.fixture
    def sink(self) -> RecordingSink:
        return RecordingSink()

    async def test_control_messages_come_back(self, nodes: NodeMessages, sink: RecordingSink) -> None:
        await nodes.send_control(b"message")
        await until(lambda: sink.control == [b"message"])

    async def test_every_node_answers_a_survey(self, nodes: NodeMessages) -> None:
        assert await nodes.survey(b"who?") == [b"answer to who?"]


class BrokerSuite(StreamSuite, DeliverySuite, PresenceSuite, ReservationSuite, NodeMessagesSuite):
    """What holds for every broker; the fixture `broker` is one, started with `sink`."""

    @pytest.fixture
    def streams(self, broker: Broker) -> StreamStore:
        return broker

    @pytest.fixture
    def delivery(self, broker: Broker) -> Delivery:
        return broker

    @pytest.fixture
    def presence(self, broker: Broker) -> PresenceStore:
        return broker

    @pytest.fixture
    def reservations(self, broker: Broker) -> ReservationStore:
        return broker

    @pytest.fixture
    def nodes(self, broker: Broker) -> NodeMessages:
        return broker

    async def test_a_broker_that_is_well_names_no_trouble(self, broker: Broker) -> None:
        assert broker.trouble == ""
        assert all(isinstance(value, int | float) for value in broker.statistics().values())
