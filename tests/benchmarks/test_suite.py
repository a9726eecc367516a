"""Which benchmarks are meant by a name."""

from __future__ import annotations

import pytest

from benchmarks.suite import BENCHMARKS, named


def test_no_name_means_all_of_them() -> None:
    assert named([]) == list(BENCHMARKS)


def test_the_beginning_of_names_means_all_that_begin_so_each_once() -> None:
    over_redis = [name for name in BENCHMARKS if name.startswith("redis-")]
    assert len(over_redis) > 1
    assert named(["redis", "push", over_redis[0]]) == [*over_redis, "push"]


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError):
        named(["pus"])
