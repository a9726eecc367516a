"""The cost model by values: what work costs, how costs are fitted, and what a site needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale.experiments import EMBEDDED, OVER_REDIS
from benchmarks.scale.fitting import Observation, error_of, fit, fit_one, middle
from benchmarks.scale.measuring import check_run, plain, with_memory
from benchmarks.scale.memory_runs import FITTED, resident
from benchmarks.scale.model import Resource, Unit, add, checks_a_second, nodes_reached, predict, reconnect, takers
from benchmarks.scale.records import Check, Measured, MemoryMeasured
from benchmarks.scale.site import (
    Site,
    arrivals_limit,
    kept_of,
    needs_of,
    opened,
    publications_a_second,
    second_of,
    step_costs,
)
from benchmarks.scale.storm import StepCosts

COSTS = {
    Resource.CPU: {Unit.CONNECT: 300.0, Unit.SUBSCRIBE: 50.0, Unit.DELIVER: 5.0, Unit.REFUSE: 80.0, Unit.PING: 20.0},
    Resource.MEMORY: {Unit.CONNECT: 2000.0, Unit.SUBSCRIBE: 500.0, Unit.OPEN: 600.0},
    Resource.REDIS_CPU: {Unit.CONNECT: 70.0, Unit.OPEN: 40.0, Unit.PUBLISH: 150.0, Unit.HEAR: 10.0, Unit.CHECK: 5.0},
    Resource.REDIS_COMMANDS: {Unit.CONNECT: 11.0, Unit.CHECK: 1.0},
    Resource.REDIS_IN: {Unit.CONNECT: 600.0},
    Resource.REDIS_OUT: {Unit.HEAR: 300.0},
    Resource.REDIS_MEMORY: {Unit.CONNECT: 1000.0},
}


CPU, MEMORY, AGAIN = (
    Check("redis", run, resource, 1.0, 1.0)
    for run, resource in (("mixed", "cpu"), ("mixed", "memory"), ("reconnect: come", "memory"))
)


def test_a_prediction_is_the_sum_over_all_work() -> None:
    used = predict(COSTS, {Unit.CONNECT: 10, Unit.SUBSCRIBE: 20, Unit.HEAR: 3})
    assert used[Resource.CPU] == 10 * 300 + 20 * 50
    assert used[Resource.REDIS_CPU] == 10 * 70 + 3 * 10
    assert used[Resource.REDIS_OUT] == 900


def test_work_adds_up() -> None:
    assert add({Unit.CONNECT: 1, Unit.PING: 2}, {Unit.PING: 3}) == {Unit.CONNECT: 1, Unit.PING: 5}


def test_one_that_comes_back_resumes_its_own_channels_too() -> None:
    assert reconnect(2, 3) == {Unit.CONNECT: 1, Unit.SUBSCRIBE: 2, Unit.RESUME: 4, Unit.MISSED: 3}


@pytest.mark.parametrize(
    ("subscribers", "nodes", "reached"), [(0, 50, 0.0), (1, 50, 1.0), (2, 2, 1.5), (10_000, 50, 50.0)]
)
def test_a_channel_reaches_more_nodes_the_more_subscribers_it_has(
    subscribers: float, nodes: int, reached: float
) -> None:
    assert nodes_reached(subscribers, nodes) == pytest.approx(reached)


def test_positions_are_compared_every_five_seconds_up_to_a_bound() -> None:
    assert checks_a_second(1_000) == 200
    assert checks_a_second(1_000_000) == 5_000


def test_redis_takes_nothing_of_what_it_never_hears_of() -> None:
    assert Unit.DELIVER not in takers(Resource.REDIS_CPU)
    assert Unit.DELIVER in takers(Resource.CPU)
    assert Unit.LEAVE not in takers(Resource.REDIS_MEMORY)
    assert Unit.DELIVER not in takers(Resource.MEMORY)


def test_a_fit_finds_the_costs_that_made_the_observations() -> None:
    rows = [
        {Unit.CONNECT: 100.0, Unit.SUBSCRIBE: 0.0},
        {Unit.CONNECT: 50.0, Unit.SUBSCRIBE: 200.0},
        {Unit.CONNECT: 10.0, Unit.SUBSCRIBE: 400.0},
    ]
    used = [row[Unit.CONNECT] * 300 + row[Unit.SUBSCRIBE] * 40 for row in rows]
    costs = fit_one(rows, used, (Unit.CONNECT, Unit.SUBSCRIBE))
    assert costs[Unit.CONNECT] == pytest.approx(300, rel=1e-4)
    assert costs[Unit.SUBSCRIBE] == pytest.approx(40, rel=1e-4)


def test_no_cost_is_below_nothing() -> None:
    costs = fit_one(
        [{Unit.CONNECT: 1.0}, {Unit.CONNECT: 1.0, Unit.PING: 10.0}], [100.0, 80.0], (Unit.CONNECT, Unit.PING)
    )
    assert costs[Unit.PING] == 0
    assert 80 <= costs[Unit.CONNECT] <= 100


def test_work_that_was_not_seen_has_no_cost() -> None:
    assert fit_one([{Unit.CONNECT: 1.0}], [5.0], (Unit.CONNECT, Unit.PING)) == {Unit.CONNECT: 5.0}


def test_what_is_known_from_elsewhere_is_not_fitted_again() -> None:
    seen = [Observation("one", {Unit.CONNECT: 10, Unit.PING: 100}, {Resource.CPU: 5_000})]
    costs = fit(seen, {Unit.PING: 20.0})
    assert costs == {Resource.CPU: {Unit.CONNECT: pytest.approx(300.0), Unit.PING: 20.0}}


def test_rounds_become_one_by_medians_and_have_to_match() -> None:
    rounds = [[Observation("a", {Unit.PING: n}, {Resource.CPU: 10 * n})] for n in (1.0, 3.0, 2.0)]
    assert middle(rounds) == [Observation("a", {Unit.PING: 2.0}, {Resource.CPU: 20.0})]
    with pytest.raises(ValueError, match="a, b"):
        middle([rounds[0], [replace(rounds[1][0], name="b")]])


def test_a_check_adds_up_the_phases() -> None:
    phases = [Observation(name, {Unit.CONNECT: 10}, {Resource.CPU: 3_300}) for name in ("come", "back")]
    [cpu] = check_run("redis", "reconnect", COSTS, phases)
    assert (cpu.predicted, cpu.measured) == (6_000, 6_600)
    assert error_of(cpu.predicted, cpu.measured) == pytest.approx(-1 / 11)


def test_what_is_resident_is_told_of_what_stays_alone_and_predicted_from_that() -> None:
    counts = {Unit.CONNECT: 10.0, Unit.OPEN: 0.0, Unit.MISSED: 4.0, Unit.GROW: 1.0}
    seen = resident("at rest", counts, 25_000)
    assert seen == Observation("at rest", {Unit.CONNECT: 10, Unit.GROW: 1}, {Resource.MEMORY: 25_000})
    [memory] = check_run("redis", "reconnect: come", COSTS, [seen])
    assert (memory.predicted, memory.measured) == (20_000, 25_000)


def test_memory_can_be_measured_anew_with_all_else_as_it_was() -> None:
    before = Measured("day", {}, "load", 3, {"redis": {"cpu": {"ping": 1.0}, "memory": {"resume": 2.0}}}, [CPU, MEMORY])
    again = MemoryMeasured("day after", "load", 2)
    costs = {"redis": {Resource.MEMORY: {Unit.LEAVE: 7.0}}}
    mended = with_memory(before, again, costs, [AGAIN])
    assert mended.costs == {"redis": {"cpu": {"ping": 1.0}, "memory": {"leave": 7.0}}}
    assert mended.checks == [CPU, AGAIN]
    assert (mended.when, mended.memory) == ("day", again)


@pytest.mark.parametrize("nodes", [EMBEDDED, OVER_REDIS])
def test_what_one_takes_is_told_from_what_a_process_takes_once_by_two_sizes_of_every_crowd(nodes: str) -> None:
    names = [name.rpartition(", ") for name in FITTED[nodes]]
    assert len(names) == 2 * len({kind for kind, _, _ in names})


def test_costs_are_committed_with_four_digits() -> None:
    assert plain({Resource.CPU: {Unit.PING: 12.34567}}) == {"cpu": {"ping": 12.35}}


SITE = Site(40_000, 1_000, 2, pushes=10, publications=20, broadcasts=1, life=1_000)


def test_a_second_of_a_site() -> None:
    second = second_of(SITE, 2)
    assert second[Unit.CONNECT] == second[Unit.LEAVE] == 40
    assert second[Unit.PUBLISH] == 31
    assert second[Unit.HEAR] == pytest.approx(10 + 20 * 2 + 1 * 2)
    assert second[Unit.DELIVER] == 10 + 20 * 80 + 40_000
    assert second[Unit.CHECK] == pytest.approx(2 * (20_000 + 1_000 + 1) / 5)


def test_channels_are_open_at_each_node_that_has_a_subscriber() -> None:
    assert opened(SITE, 2) == pytest.approx(1_000)
    assert kept_of(SITE, 2)[Unit.OPEN] == pytest.approx(2_000)
    assert opened(Site(100, 0, 0), 2) == 0


def test_a_site_needs_a_gateway_for_so_many_connections_and_more_where_they_have_much_to_do() -> None:
    assert needs_of(SITE, COSTS).nodes == 2
    assert needs_of(replace(SITE, broadcasts=20), COSTS).nodes > 2


def test_a_reconnect_is_a_handshake_and_the_rest() -> None:
    steps = step_costs(COSTS, Site(40_000, 0, 0), 2)
    assert steps.handshake == steps.refuse == pytest.approx(80e-6)
    assert steps.handshake + steps.connect == pytest.approx(300e-6)
    assert steps.redis == pytest.approx(70e-6)


def test_no_more_may_be_coming_in_than_are_served_while_a_client_has_patience() -> None:
    steps = StepCosts(refuse=1e-4, handshake=1e-4, connect=9e-4, redis=1e-4)
    assert arrivals_limit(steps, nodes=2, shards=100) == 2_000  # the node: 2.5 s of 0.8 of a core
    assert arrivals_limit(steps, nodes=50, shards=1) == 500  # Redis: 2.5 s for all nodes


def test_redis_carries_fewer_publications_the_more_nodes_hear_each() -> None:
    assert publications_a_second(COSTS, 0, joined=False) == pytest.approx(0.6e6 / 150)
    assert publications_a_second(COSTS, 15, joined=False) == pytest.approx(0.6e6 / 300)
