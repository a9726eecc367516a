"""What waits to be sent later, by values: its order, its bounds, and that everything is counted once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from messageflow.publisher.later_queue import OVERHEAD, LaterQueue, LaterStats


def filled(count: int, **bounds: float) -> LaterQueue:
    queue = LaterQueue(**bounds)  # type: ignore[arg-type]
    for number in range(count):
        queue.put(b"%d" % number, float(number))
    return queue


def test_everything_that_waits_is_taken_in_order() -> None:
    queue = filled(5)
    assert queue.take() == [b"0", b"1", b"2", b"3", b"4"]
    assert len(queue) == 5
    queue.settle()
    assert queue.take() == []


def test_a_request_takes_no_more_than_one_may_hold() -> None:
    queue = filled(2500)
    sizes = []
    while commands := queue.take():
        sizes.append(len(commands))
        queue.settle()
    assert sizes == [1000, 1000, 500]


def test_what_failed_waits_again_before_all_others() -> None:
    queue = filled(4)
    queue.take(2)
    queue.put(b"new", 9.0)
    queue.put_back()
    assert queue.take() == [b"0", b"1", b"2", b"3", b"new"]


def test_the_oldest_are_dropped_when_there_is_no_room() -> None:
    queue = filled(3, most_calls=3)
    assert not queue.has_room(b"3")
    assert queue.put(b"3", 3.0) == 1
    assert queue.stats.dropped_full == 1
    assert queue.take() == [b"1", b"2", b"3"]


def test_bytes_are_bounded_too_and_what_a_call_takes_beside_its_own_counts() -> None:
    queue = filled(3, most_bytes=3 * (OVERHEAD + 1))
    assert queue.put(b"x" * (OVERHEAD + 2), 3.0) == 2
    assert queue.take() == [b"2", b"x" * (OVERHEAD + 2)]


def test_one_call_may_wait_however_large_it_is() -> None:
    queue = LaterQueue(most_bytes=10)
    assert queue.has_room(b"x" * 1000)
    assert queue.put(b"x" * 1000, 0.0) == 0
    assert queue.put(b"y" * 1000, 0.0) == 1


def test_what_is_under_way_is_not_dropped_for_room() -> None:
    queue = filled(2, most_calls=2)
    queue.take()
    assert queue.put(b"2", 2.0) == 0
    queue.settle()
    assert queue.stats == LaterStats(waiting=1, waiting_bytes=OVERHEAD + 1, sent=2)


def test_what_waited_too_long_is_dropped() -> None:
    queue = filled(4, most_age=2.0)
    assert queue.drop_old(2.5) == 1
    assert queue.drop_old(3.0) == 1
    assert queue.stats.dropped_old == 2
    assert queue.take() == [b"2", b"3"]


def test_a_number_is_settled_when_nothing_before_it_is_open() -> None:
    queue = LaterQueue()
    assert queue.settled == queue.newest == 0
    for _ in range(3):
        queue.put(b"x", 0.0)
    assert (queue.settled, queue.newest) == (0, 3)
    queue.take(2)
    assert queue.settled == 0
    queue.settle()
    assert queue.settled == 2
    queue.take()
    queue.settle(refused=1)
    assert queue.settled == 3
    assert queue.stats == LaterStats(sent=2, refused=1)


STEPS = st.lists(st.sampled_from(["put", "take", "settle", "back", "old"]), max_size=60)


@given(STEPS)
def test_every_call_is_counted_exactly_once(steps: list[str]) -> None:
    queue = LaterQueue(most_calls=4, most_age=6.0)
    under_way: list[bytes] = []
    arrived: list[int] = []
    for now, step in enumerate(steps):
        if step == "put":
            queue.put(b"%d" % queue.newest, float(now))
        elif step == "take" and not under_way:
            under_way = queue.take(2)
        elif step == "settle":
            arrived += map(int, under_way)
            queue.settle()
            under_way = []
        elif step == "back":
            queue.put_back()
            under_way = []
        elif step == "old":
            queue.drop_old(float(now))
        stats = queue.stats
        assert stats.waiting + stats.sent + stats.dropped_full + stats.dropped_old == queue.newest
        assert stats.waiting_bytes >= stats.waiting * OVERHEAD
        assert stats.waiting <= 5  # one may wait while all others are under way
    assert arrived == sorted(set(arrived))
