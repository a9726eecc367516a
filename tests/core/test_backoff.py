"""Pauses grow, end at a limit, are spread by chance, and begin short again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from messageflow.core.backoff import Backoff, pause_after


def test_each_failure_doubles_the_pause_up_to_the_limit() -> None:
    backoff = Backoff(0.1, 1.0, lambda: 1.0)
    assert [backoff.fail() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff.failures == 6


def test_half_of_a_pause_is_left_to_chance() -> None:
    chances = iter([0.0, 0.5, 1.0])
    backoff = Backoff(2.0, 2.0, lambda: next(chances))
    assert [backoff.fail() for _ in range(3)] == [1.0, 1.5, 2.0]


def test_after_a_success_the_pause_is_short_again() -> None:
    backoff = Backoff(0.1, 1.0, lambda: 1.0)
    backoff.fail()
    backoff.fail()
    backoff.reset()
    assert backoff.fail() == 0.1


@settings(deadline=None)
@given(
    failures=st.integers(1, 10**9),
    first=st.floats(0.0, 10.0),
    longest=st.floats(0.0, 3600.0),
    chance=st.floats(0.0, 1.0),
)
def test_no_pause_is_longer_than_the_limit_or_shorter_than_half_of_it(
    failures: int, first: float, longest: float, chance: float
) -> None:
    pause = pause_after(failures, first, longest, chance)
    assert 0 <= pause <= longest
    assert pause >= min(first, longest) / 2
