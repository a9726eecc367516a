"""Streams within a budget: against a model, whatever `read_since` gives is what was published, and nothing else."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.stream import OVERHEAD, Item, Position, Retention
from messageflow.core.stream_table import StreamTable

CHANNELS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), CHANNELS, st.integers(1, 300)),
        st.tuples(st.just("advance"), st.just(""), st.integers(1, 30)),
        st.tuples(st.just("sweep"), st.just(""), st.just(0)),
        st.tuples(st.just("remove"), CHANNELS, st.just(0)),
    ),
    max_size=60,
)


def streams(memory: int = 1 << 20, limit: int = 1_000) -> StreamTable:
    names = count()
    return StreamTable(lambda: f"epoch{next(names)}", memory=memory, limit=limit)


@given(STEPS, st.sampled_from([1, 2, 1_000]), st.sampled_from([2_000, 1 << 20]))
def test_a_reader_gets_the_whole_rest_or_is_refused(steps: list[tuple[str, str, int]], limit: int, memory: int) -> None:
    kept, now = streams(memory, limit), 0.0
    retention = Retention(10, 20)
    readers: dict[str, list[tuple[Position, int]]] = {channel: [] for channel in "abc"}
    published: dict[str, list[bytes]] = {channel: [] for channel in "abc"}
    for what, channel, size in steps:
        if what == "advance":
            now += size
        elif what == "sweep":
            kept.sweep(now)
        elif what == "remove":
            kept.remove(channel)
        else:
            readers[channel].append((kept.position(channel), len(published[channel])))
            data = b"%d" % len(published[channel]) + b" " * size
            kept.append(Item(channel, data, retention), now)
            published[channel].append(data)
        assert 0 <= kept.cost <= memory
    for channel, positions in readers.items():
        for position, seen in positions:
            rest = kept.read_since(channel, position, now)
            if rest is not None:
                assert [publication.data for publication in rest] == published[channel][seen:]


def test_a_forgotten_stream_begins_again_in_another_epoch() -> None:
    kept = streams(limit=1)
    kept.append(Item("a", b"1", Retention(10, 20)), 0.0)
    before = kept.position("a")
    kept.append(Item("b", b"1", Retention(10, 20)), 0.0)
    kept.append(Item("a", b"1", Retention(10, 20)), 0.0)  # the same, so that the tag is
    assert kept.read_since("a", before, 0.0) is None
    assert kept.forgotten == 2


def test_what_is_under_way_is_kept_though_others_come() -> None:
    kept = streams(limit=1)
    item = Item("a", b"1", Retention(10, 20))
    under_way = kept.retain("a", item.retention)
    publication = under_way.stage(item, 0.0)
    kept.append(Item("b", b"1", Retention(10, 20)), 0.0)  # one more than the limit, for the time
    assert kept.forgotten == 0
    kept.commit("a", under_way, publication)
    assert kept.position("a") == Position(kept.epoch, 1, publication.tag)
    kept.append(Item("c", b"1", Retention(10, 20)), 0.0)
    assert kept.get("a") is None
    assert len(kept) == 1


def test_a_sweep_frees_what_is_too_old_in_idle_channels() -> None:
    kept = streams()
    kept.append(Item("a", b"1", Retention(10, 20)), 0.0)
    kept.append(Item("b", b"1", Retention(10, 90)), 0.0)
    kept.sweep(30.0)
    assert kept.read_page("b", None, 9, 30.0, reverse=False)
    assert kept.cost == kept.get("b").cost  # type: ignore[union-attr]
    kept.sweep(100.0)
    assert kept.cost == 0


def test_a_stream_in_which_all_is_too_old_still_stands_where_it_stood() -> None:
    streams = StreamTable(lambda: "e", memory=1 << 20)
    _, publication = streams.append(Item("x", b"1", Retention(10, 60)), 0.0)
    streams.sweep(100.0)
    assert len(streams) == 1
    assert streams.position("x") == Position("e", 1, publication.tag)


def test_making_room_among_very_many_streams_is_quick() -> None:
    count = 50_000
    streams = StreamTable(lambda: "e", memory=count * (OVERHEAD + 100))
    for number in range(2 * count):  # a look at every stream for each eviction would take hours
        streams.append(Item(f"#{number}", b"x" * 100, Retention(10, 60)), 0.0)
    assert streams.cost <= count * (OVERHEAD + 100)
    assert count <= streams.evicted <= count + count // 100


def test_a_stream_is_halved_before_a_small_one_loses_anything() -> None:
    streams = StreamTable(lambda: "e", memory=200_000)
    streams.append(Item("small", b"x", Retention(1000, 60)), 0.0)
    for _ in range(1000):
        streams.append(Item("large", b"x" * 1000, Retention(1000, 60)), 0.0)
    assert streams.cost <= 200_000
    small, large = streams.get("small"), streams.get("large")
    assert small is not None
    assert large is not None
    assert len(small) == 1
    assert 50 < len(large) < 200


def test_a_reader_who_asks_for_little_gets_the_first_of_what_they_missed() -> None:
    kept = streams()
    for data in (b"1", b"2", b"3"):
        kept.append(Item("a", data, Retention(10, 20)), 0.0)
    rest = kept.read_since("a", Position(kept.epoch, 0), 0.0, limit=2)
    assert rest is not None
    assert [publication.data for publication in rest] == [b"1", b"2"]


def test_a_stream_that_never_began_is_recovered_from_its_beginning_alone() -> None:
    kept = streams()
    assert kept.read_since("a", Position(kept.epoch, 0), 0.0) == []
    assert kept.read_since("a", Position(kept.epoch, 3), 0.0) is None
    assert kept.read_since("a", Position("another", 0), 0.0) is None


def test_what_is_too_old_is_not_given_although_no_sweep_came() -> None:
    kept = streams()
    kept.append(Item("a", b"1", Retention(10, 20)), 0.0)
    assert kept.read_since("a", Position(kept.epoch, 0), 19.0) != []
    assert kept.read_since("a", Position(kept.epoch, 0), 20.0) is None


def test_what_was_removed_weighs_nothing() -> None:
    kept = streams()
    kept.append(Item("a", b"1", Retention(10, 20)), 0.0)
    kept.remove("a")
    assert kept.cost == 0


def test_the_largest_loses_half_and_then_the_next_largest_its_own() -> None:
    kept = streams(memory=100_000)
    for channel, number in (("a", 60), ("b", 50)):
        for _ in range(number):
            kept.append(Item(channel, b"x" * (1_000 - OVERHEAD), Retention(1_000, 60)), 0.0)
    kept.append(Item("c", b"x" * (65_000 - OVERHEAD), Retention(1_000, 60)), 0.0)
    lengths = [len(stream) for channel in "abc" if (stream := kept.get(channel)) is not None]
    assert min(lengths[:2]) >= 10, lengths
