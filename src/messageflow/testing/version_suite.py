"""The versions of documents as tests, for every broker alike. A part of the suites of `broker_suite`."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from messageflow.brokers.base import Delivery, StreamStore
from messageflow.core.stream import Item, Position, Retention
from messageflow.core.versions import Version
from messageflow.testing.recording_sink import KEPT, NOT_KEPT, RecordingSink, items, until


class VersionSuite:
    """What holds of versions for every `StreamStore`; the fixture `streams` is one."""

    async def test_what_has_an_outdated_version_is_passed_over(self, streams: StreamStore) -> None:
        high, odd = 2**63 - 1, "e \x00\n9 é"
        given = [  # a version of each, and whether it is stored
            (Version(9), True),
            (None, True),
            (Version(9), False),
            (Version(8), False),
            (Version(10), True),
            (Version(high - 1), True),
            (Version(high - 2), False),
            (Version(high), True),
            (Version(9, odd), True),
            (Version(9, odd), False),
            (Version(9, "f"), True),
            (Version(9), False),
            (Version(1, odd), True),
            (Version(2, odd), True),
        ]
        stands, kept = Position("", 0), []
        for number, (version, is_stored) in enumerate(given):
            before = stands
            [outcome] = await streams.publish([Item("x", str(number).encode(), KEPT, version=version)])
            stands = outcome.position
            assert (stands.offset == before.offset + 1) if is_stored else (stands == before), number
            kept += [number] * is_stored
        page = await streams.read_page("x", None, 100)
        assert ([int(p.data) for p in page.publications], page.position) == (kept, stands)

    async def test_a_version_is_known_whatever_is_dropped_of_the_history(self, streams: StreamStore) -> None:
        both = [
            Item("x", data, Retention(1, 60), version=version) for data, version in ((b"1", Version(5)), (b"2", None))
        ]
        stands = (await streams.publish(both))[-1]
        await streams.remove_history("x")
        assert await streams.publish([Item("x", b"3", KEPT, version=Version(5))]) == [stands]
        assert (await streams.publish([Item("y", b"3", KEPT, version=Version(1))]))[0].position.offset == 1
        loose = [Item("x", b"4", NOT_KEPT, version=Version(each)) for each in (9, 1)]
        assert [each.position.offset for each in await streams.publish(loose)] == [0, 0]
        assert (await streams.publish([Item("x", b"5", KEPT, version=Version(6))]))[0].position.offset == 3

    async def test_a_key_counts_before_a_version_and_is_not_remembered_of_what_was_passed_over(
        self, streams: StreamStore
    ) -> None:
        item = Item("x", b"1", KEPT, key="k", version=Version(5))
        [first] = await streams.publish([item])
        [newer] = await streams.publish([Item("x", b"2", KEPT, version=Version(6))])
        assert await streams.publish([item]) == [first]
        late = replace(item, key="late")
        assert await streams.publish([late]) == [newer]
        assert (await streams.publish([replace(late, version=Version(7))]))[0].position.offset == 3


class VersionDeliverySuite:
    """What subscribers see of versions; the fixture `delivery` is for `sink`, of what `streams` publishes."""

    @pytest.fixture
    def sink(self) -> RecordingSink:
        return RecordingSink()

    async def test_of_many_publishers_at_once_none_gets_past_a_newer_version(
        self, streams: StreamStore, delivery: Delivery, sink: RecordingSink
    ) -> None:
        await delivery.subscribe("x")
        shuffled = [(7 * each) % 50 + 1 for each in range(50)]
        versions = [[Item("x", str(each).encode(), KEPT, version=Version(each))] for each in shuffled]
        outcomes = await asyncio.gather(*map(streams.publish, versions))
        await streams.publish(items("x", 0))
        await until(lambda: bool(sink.publications) and sink.publications[-1][1].data == b"0")
        delivered = [int(p.data) for _, p in sink.publications][:-1]
        assert delivered == sorted(set(delivered))
        assert delivered[-1] == 50
        assert [p.data for p in (await streams.read_page("x", None, 100)).publications] == [
            p.data for _, p in sink.publications
        ]
        assert {each.position.offset for [each] in outcomes} == set(range(1, len(delivered) + 1))
