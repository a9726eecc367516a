"""What is done once: who has it, what came of it, and what nobody can know."""

from __future__ import annotations

from messageflow.core.reservations import MINE, RUNNING, TRANSIT, UNKNOWN, Reservation, ReservationTable


def table(size: int = 1000, since: float = 0.0) -> ReservationTable:
    return ReservationTable(ttl=600, size=size, since=since)


def test_a_key_is_its_user_s_alone() -> None:
    known = table()
    assert known.take("n", "alice", "k", None, 1.0) == MINE
    assert known.take("m", "alice", "k", None, 1.0) == RUNNING
    assert known.take("m", "bob", "k", None, 1.0) == MINE


def test_what_came_of_it_is_known_for_its_time() -> None:
    known = table()
    known.take("n", "alice", "k", None, 1.0)
    known.settle("alice", "k", b"done", 2.0)
    assert known.take("n", "alice", "k", 1.0, 600.9) == Reservation("ended", b"done")
    assert known.take("n", "alice", "k", None, 601.0) == MINE


def test_what_was_not_done_is_free_again() -> None:
    known = table()
    known.take("n", "alice", "k", None, 1.0)
    known.settle("alice", "k", None, 1.0)
    known.settle("alice", "k", None, 1.0)
    assert known.take("n", "alice", "k", None, 1.0) == MINE


def test_of_a_node_that_is_gone_nobody_knows_but_what_it_settled() -> None:
    known = table()
    for node, key in (("gone", "a"), ("gone", "b"), ("there", "c")):
        known.take(node, "alice", key, None, 1.0)
    known.settle("alice", "a", b"", 1.0)
    known.forget_node("gone")
    assert known.take("there", "alice", "a", 1.0, 2.0).state == "ended"
    assert known.take("there", "alice", "b", 1.0, 2.0) == UNKNOWN
    assert known.take("there", "alice", "c", 1.0, 2.0) == RUNNING


def test_a_node_that_was_taken_for_dead_may_still_say_what_came_of_it() -> None:
    known = table()
    known.take("n", "alice", "k", None, 1.0)
    known.forget_node("n")
    known.settle("alice", "k", b"", 2.0)
    assert known.take("m", "alice", "k", 1.0, 3.0) == Reservation("ended", b"")


def test_a_repetition_of_what_was_sent_before_memory_begins_is_not_taken_for_new() -> None:
    known = table(since=100.0)
    assert known.take("n", "alice", "k", 10.0, 105.0) == UNKNOWN
    assert known.take("n", "alice", "k", 10.0, 109.9 + TRANSIT) == UNKNOWN
    assert known.take("n", "alice", "k", 10.0, 110.0 + TRANSIT) == MINE
    assert known.take("n", "alice", "new", None, 100.0) == MINE


def test_what_was_forgotten_is_known_to_be() -> None:
    known = table(size=2)
    for at, key in ((10.0, "a"), (20.0, "b"), (30.0, "c")):
        known.take("n", "alice", key, None, at)
    assert (len(known), known.evicted, known.since) == (2, 1, 10.0)
    assert known.take("n", "alice", "a", 20.0, 30.0) == UNKNOWN
    known.sweep(700.0)
    assert (len(known), known.since) == (0, 30.0)
    assert known.take("n", "alice", "c", 670.0, 700.0) == UNKNOWN
    assert known.take("n", "alice", "c", 600.0, 700.0) == MINE


def test_a_table_goes_on_where_the_one_before_it_ended() -> None:
    before, after = table(since=10.0), table(since=100.0)
    before.take("n", "alice", "ended", None, 20.0)
    before.settle("alice", "ended", b"so", 21.0)
    before.take("n", "alice", "begun", None, 22.0)
    after.take_over(before.leave())
    assert (len(after), after.since) == (2, 10.0)
    assert after.take("n", "alice", "ended", 80.0, 100.0) == Reservation("ended", b"so")
    assert after.take("n", "alice", "begun", 78.0, 100.0) == UNKNOWN
    after.sweep(620.0)
    assert (len(after), after.since) == (1, 20.0)
