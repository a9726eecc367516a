"""The laws of a stream. No clock, no sleep: time is a number that the tests choose."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.stream import Item, Position, Retention, Stream


def publish(stream: Stream, data: bytes, now: float) -> None:
    stream.commit(stream.stage(Item("x", data, Retention(stream.size, stream.ttl)), now))


def filled(*data: bytes, epoch: str = "e", size: int = 100, ttl: float = 60.0) -> Stream:
    stream = Stream(epoch, size=size, ttl=ttl)
    for item in data:
        publish(stream, item, 0.0)
    return stream


def test_offsets_rise_by_one_from_one() -> None:
    assert [p.offset for p in filled(b"1", b"2", b"3").read_since(Position("e", 0)) or []] == [1, 2, 3]


def test_what_is_kept_is_nothing_for_the_garbage_collector() -> None:
    item = Item("x", b"1", Retention(100, 60.0))
    assert not gc.is_tracked(item)
    assert not gc.is_tracked(filled(b"1").newest)  # of which a gateway keeps hundreds of thousands


def test_a_reader_at_the_top_has_missed_nothing() -> None:
    stream = filled(b"1", b"2")
    assert stream.read_since(stream.position) == []


def test_another_epoch_is_not_recovered() -> None:
    assert filled(b"1").read_since(Position("older", 1)) is None


def test_an_offset_never_reached_is_not_recovered() -> None:
    assert filled(b"1").read_since(Position("e", 2)) is None


def test_what_left_the_window_by_age_is_not_recovered() -> None:
    stream = filled(b"1", ttl=10)
    publish(stream, b"2", 20.0)
    assert stream.read_since(Position("e", 0)) is None
    assert [p.data for p in stream.read_since(Position("e", 1)) or []] == [b"2"]


def test_a_reader_just_below_the_window_still_recovers_with_his_tag() -> None:
    stream = filled(b"1", b"2", size=2)
    reader = stream.position
    publish(stream, b"3", 0.0)
    publish(stream, b"4", 0.0)
    assert [p.data for p in stream.read_since(reader) or []] == [b"3", b"4"]


def test_offsets_given_out_again_after_a_lost_tail_are_found_by_the_tag() -> None:
    before = filled(b"1", b"2", b"3")
    after = filled(b"1", b"2", b"other")  # the broker lost 3 and numbered anew
    assert after.read_since(before.position) is None
    assert after.read_since(before.position._replace(tag="")) == []  # by offset alone it would have passed


@given(st.lists(st.binary(max_size=4), max_size=30), st.integers(1, 12), st.integers(0, 40))
def test_a_reader_gets_the_whole_rest_or_nothing(data: list[bytes], size: int, offset: int) -> None:
    stream = filled(*data, size=size)
    missed = stream.read_since(Position("e", offset))
    if offset <= len(data) and len(data) - offset <= size:
        assert missed is not None
        assert [p.data for p in missed] == data[offset:]
    else:
        assert missed is None


histories = st.lists(st.binary(max_size=2), min_size=1, max_size=12)


@given(histories, histories)
def test_equal_tags_mean_equal_histories(one: list[bytes], other: list[bytes]) -> None:
    assert (filled(*one).position == filled(*other).position) == (one == other)
