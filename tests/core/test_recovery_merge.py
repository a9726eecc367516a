"""Merging history and live publications: one run, or the word that there is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.recovery_merge import merge
from messageflow.core.stream import Publication


def published(*offsets: int) -> list[Publication]:
    return [Publication(offset, f"tag{offset}", 0.0, str(offset).encode()) for offset in offsets]


def test_what_arrived_meanwhile_closes_the_run() -> None:
    assert merge(published(3, 4), published(5), after=2, until=5) == published(3, 4, 5)


def test_what_came_both_ways_is_given_once() -> None:
    assert merge(published(3, 4), published(4, 5), after=2, until=5) == published(3, 4, 5)


def test_what_will_be_delivered_live_is_left_out() -> None:
    assert merge(published(3, 4), published(5, 6), after=2, until=4) == published(3, 4)


def test_a_run_with_a_hole_is_none() -> None:
    assert merge(published(3), published(5), after=2, until=5) is None


def test_nothing_missed_is_an_empty_run() -> None:
    assert merge([], [], after=7, until=7) == []


@given(st.sets(st.integers(1, 20)), st.sets(st.integers(1, 20)), st.integers(0, 20), st.integers(0, 20))
def test_the_run_is_whole_or_there_is_none(history: set[int], aside: set[int], after: int, until: int) -> None:
    merged = merge(published(*sorted(history)), published(*sorted(aside)), after=after, until=until)
    wanted = set(range(after + 1, until + 1))
    if wanted <= history | aside:
        assert merged == published(*sorted(wanted))
    else:
        assert merged is None
