"""The plan of a fault run: decided by its seed, fair to every kind, and never two faults of one lane at a time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from messageflow.brokers.worker_link.broker_server import SILENCE
from tests.faults.schedule import KINDS, LANES, NETWORK, REDIS, REDIS_LINKS, plan

SECONDS = 200.0


def test_the_same_seed_plans_the_same_faults() -> None:
    assert plan(7, KINDS, SECONDS) == plan(7, list(KINDS)[::-1], SECONDS)
    assert plan(7, KINDS, SECONDS) != plan(8, KINDS, SECONDS)


@pytest.mark.parametrize("seed", range(20))
def test_a_lane_recovers_from_one_fault_before_the_next(seed: int) -> None:
    planned = plan(seed, KINDS, SECONDS)
    for lane in LANES:
        for one, next_one in pairwise(fault for fault in planned if fault.lane == lane):
            assert next_one.at > one.over


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_comes_before_one_comes_again(seed: int) -> None:
    links = [fault.kind for fault in plan(seed, KINDS, SECONDS) if fault.lane == "links"]
    kinds = {kind for kind in links if KINDS[kind].lane == "links"}
    assert kinds == {name for name, kind in KINDS.items() if kind.lane == "links"}
    assert len(set(links[: len(kinds)])) == len(kinds)


def test_no_fault_lasts_beyond_the_time_given() -> None:
    planned = plan(3, KINDS, SECONDS)
    assert max(fault.at + fault.seconds for fault in planned) <= SECONDS
    assert [fault.number for fault in planned] == list(range(1, len(planned) + 1))


@pytest.mark.parametrize("kind", ["worker_freeze", "parent_freeze"])
def test_one_end_of_a_link_is_frozen_for_longer_than_the_other_waits_in_long_runs_only(kind: str) -> None:
    frozen = {
        seconds: [fault.seconds for seed in range(50) for fault in plan(seed, (kind,), seconds)]
        for seconds in (40.0, 150.0)
    }
    assert max(frozen[40.0]) <= 8
    assert max(frozen[150.0]) > SILENCE


def test_redis_is_frozen_for_longer_than_a_lease_in_long_runs_only() -> None:
    frozen = {
        seconds: [fault.seconds for seed in range(50) for fault in plan(seed, ("redis_freeze",), seconds)]
        for seconds in (40.0, 150.0)
    }
    assert max(frozen[40.0]) <= 8
    assert 20 < max(frozen[150.0]) <= 30


def test_only_what_is_asked_for_is_planned() -> None:
    assert {fault.kind for fault in plan(1, ("cut", "gateway_kill"), SECONDS)} == {"cut", "gateway_kill"}
    assert {fault.lane for fault in plan(1, NETWORK, SECONDS)} == {"links", "producers"}
    assert plan(1, (), SECONDS) == []
    assert {fault.lane for fault in plan(1, REDIS, SECONDS)} == {"redis", "redis links"}
    assert {fault.lane for fault in plan(1, REDIS_LINKS, SECONDS)} == {"redis links"}
