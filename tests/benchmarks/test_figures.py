"""Targets and figures: what counts as held."""

from __future__ import annotations

import pytest

from benchmarks.figures import Figure, Target, at_least, at_least_times_peer, at_most, at_most_times_peer


@pytest.mark.parametrize(
    ("target", "good", "bound", "bad"),
    [(at_most(250), 249.0, 250.0, 251.0), (at_least(3000), 3001.0, 3000.0, 2999.0)],
)
def test_a_target_includes_its_bound(target: Target, good: float, bound: float, bad: float) -> None:
    assert [target.held_by(value) for value in (good, bound, bad)] == [True, True, False]


def test_ratio_is_the_median_of_the_rounds_not_the_ratio_of_the_medians() -> None:
    figure = Figure("cpu", "µs", (4.0, 8.0, 9.0), "Nchan", (4.0, 4.0, 9.0))
    assert figure.ratio == 1.0
    assert figure.our_median / (figure.peer_median or 0) == 2.0


def test_a_ratio_target_looks_at_the_ratio_and_a_plain_one_at_our_figure() -> None:
    figure = Figure("rate", "M/s", (2.0,), "Nchan", (1.0,), (at_least_times_peer(10), at_least(1.5)))
    assert [figure.holds(target) for target in figure.targets] == [False, True]
    assert not figure.held


def test_a_ratio_target_without_a_peer_is_not_held() -> None:
    assert not Figure("cpu", "µs", (1.0,), targets=(at_most_times_peer(1.4),)).held


def test_a_figure_without_targets_misses_none() -> None:
    assert Figure("cpu", "µs", (1.0,)).held


def test_rounds_that_do_not_pair_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        _ = Figure("cpu", "µs", (1.0, 2.0), "Nchan", (1.0,)).ratio
