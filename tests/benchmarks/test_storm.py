"""The simulated storm: the waits are the clients' own, the admission is the gateway's, and its laws hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.scale.agenda import Agenda
from benchmarks.scale.clients import BROWSER, CLIENTS, OFFICIAL, PROGRAM, Client, browser, official, program
from benchmarks.scale.gateway_door import Door
from benchmarks.scale.storm import StepCosts, Storm, simulate
from messageflow.gateway.front_door.admission import LONGEST_RETRY
from messageflow.testing.clock import ManualClock

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "backoff.json").read_text())
COSTS = StepCosts(refuse=1e-4, handshake=1e-4, connect=2e-3, redis=5e-4)
STORM = Storm(2_000, 3, COSTS, arrivals_limit=100)


def test_the_browser_client_waits_as_its_own_tests_say() -> None:
    for vector in VECTORS:
        assert browser(vector["attempt"], vector["random"]) * 1000 == vector["ms"]


def test_an_official_sdk_waits_half_a_second_more_and_never_beyond_the_limit() -> None:
    assert [official(attempt, 0.0) for attempt in (0, 9)] == [0.5, 0.5]
    assert [official(attempt, 1.0) for attempt in (0, 1, 9)] == [1.0, 1.5, 20.0]


def test_a_program_waits_at_least_half() -> None:
    assert [program(attempt, 0.0) for attempt in (0, 1, 9)] == [0.25, 0.5, 10.0]


def test_the_same_seed_gives_the_same_storm() -> None:
    assert simulate(STORM) == simulate(STORM)
    assert simulate(STORM) != simulate(replace(STORM, seed=2))


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_all_come_back_no_node_is_above_its_limit_and_attempts_are_bounded(client: Client) -> None:
    result = simulate(replace(STORM, client=client))
    assert result.back == 2_000
    assert result.refused > 0
    assert result.most_arriving <= 100
    assert result.attempts == 2_000 + result.refused + result.given_up
    assert result.attempts <= 10 * 2_000
    assert list(result.seconds_until) == [50, 90, 99, 100]
    assert sorted(result.seconds_until.values()) == list(result.seconds_until.values())


def test_nobody_comes_back_sooner_than_the_work_takes() -> None:
    result = simulate(STORM)
    work = max(2_000 * COSTS.redis, 2_000 / 3 * (COSTS.handshake + COSTS.connect) / STORM.share)
    assert result.seconds_until[100] > 0.9 * work
    assert result.redis_share <= 1


def test_a_full_node_takes_no_more_than_its_limit() -> None:
    result = simulate(replace(STORM, connections_limit=500, most_seconds=60.0))
    assert result.most_connections <= 500
    assert result.back <= 3 * 500


def test_without_room_in_time_clients_give_up_and_work_is_for_nothing() -> None:
    slow = replace(STORM, costs=replace(COSTS, redis=0.02), arrivals_limit=1_000, most_seconds=20.0)
    fast = replace(slow, arrivals_limit=40)
    assert simulate(slow).wasted > 10 * simulate(fast).wasted
    assert simulate(slow).back < simulate(fast).back


def test_a_storm_that_does_not_end_is_broken_off() -> None:
    assert simulate(replace(STORM, connections_limit=1, most_attempts=3.0)).attempts <= 3 * 2_000 + 1


def test_only_who_reads_retry_after_waits_for_it() -> None:
    assert not BROWSER.reads_retry_after
    assert not OFFICIAL.reads_retry_after
    heeding = simulate(replace(STORM, client=PROGRAM))
    deaf = simulate(replace(STORM, client=replace(PROGRAM, reads_retry_after=False)))
    assert heeding.seconds_until[90] > deaf.seconds_until[90] + 1


def test_the_door_is_the_gateways_admission() -> None:
    door = Door(ManualClock(), 2, 3, lambda _, most: most)
    assert [door.refuse(), door.refuse(), door.refuse()] == [None, None, LONGEST_RETRY]
    door.begin_connect()
    assert door.refuse() == LONGEST_RETRY
    door.complete()
    assert (door.arriving, door.connections, door.refuse()) == (1, 1, None)
    assert door.refuse() == 1.0  # full
    door.begin_connect()
    door.abandon()
    door.leave_unauthenticated()
    assert (door.arriving, door.connections) == (0, 1)


def test_events_happen_in_the_order_of_their_time_and_then_as_they_were_planned() -> None:
    agenda, times = Agenda(), [0.5, 0.001, 7.0, 0.5, 0.0019, 0.002]
    for number, at in enumerate(times):
        agenda.add(at, number, 0, 0, 0)
    happened = []
    while agenda:
        at = agenda.next_at()
        _, _, what, *_ = agenda.take()
        happened.append(what)
        if what == 0:
            agenda.add(at + 0.001, 9, 0, 0, 0)  # of the same moment
    assert happened == [1, 4, 5, 0, 3, 9, 2]
