"""What a run is run with, what of it can be done, and what its faults excuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults import worker_links
from tests.faults.options import Options, expectations, hindrance, possible
from tests.faults.schedule import (
    CLUSTER,
    CLUSTER_KEEPS,
    CLUSTER_LOSES,
    KINDS,
    REDIS,
    REDIS_KEEPS,
    REDIS_LOSES,
    VISITORS,
    WORKER_LINKS,
    Planned,
)

GONE = ("redis_rolled_back", "directory_gone")
"""What takes away all of a store, or what it got last."""

CLUSTERED = Options(seed=1, seconds=10, kinds=CLUSTER, broker="redis-cluster", ack="disk")
SHARED = Options(seed=1, seconds=10, kinds=REDIS, broker="redis", ack="disk")


def planned(*kinds: str) -> list[Planned]:
    return [Planned(number, number, kind, 1, number) for number, kind in enumerate(kinds, 1)]


def unsynced(options: Options) -> Options:
    return replace(options, ack="os")


def test_what_takes_a_redis_is_not_done_without_one() -> None:
    options, missing = possible(Options(seed=1, seconds=1, kinds=("cut", *REDIS)))
    assert options.kinds == ("cut",)
    assert set(missing) == set(REDIS)
    assert possible(SHARED) == (SHARED, {})


def test_what_is_done_to_a_cluster_is_done_to_nothing_else() -> None:
    assert possible(CLUSTERED) == (CLUSTERED, {})
    assert possible(replace(SHARED, kinds=CLUSTER))[0].kinds == ()
    assert possible(replace(CLUSTERED, kinds=("cut", *REDIS)))[0].kinds == ("cut",)


@pytest.mark.parametrize("kind", CLUSTER)
def test_a_cluster_loses_something_only_where_it_is_flushed_or_an_heir_was_not_asked(kind: str) -> None:
    expected = expectations(CLUSTERED, planned(kind, "cluster_move"))
    assert expected.epochs_kept == expected.connections_kept == (kind in CLUSTER_KEEPS)
    assert expected.epochs_most == (1 if kind in CLUSTER_KEEPS else 2)
    assert expected.tails_lost == (kind in CLUSTER_LOSES and kind != "cluster_flush")


def test_what_is_done_to_links_of_workers_takes_workers_and_a_broker_of_their_parent() -> None:
    one = Options(seed=1, seconds=1, kinds=("cut", *WORKER_LINKS))
    shared = replace(SHARED, kinds=one.kinds, workers=2)
    assert possible(one)[0].kinds == possible(shared)[0].kinds == ("cut",)
    assert possible(replace(one, workers=2))[0].kinds == (one.kinds if worker_links.possible() else ("cut",))


def test_what_takes_a_file_of_the_gateway_is_not_done_with_redis() -> None:
    options = Options(seed=1, seconds=1, kinds=("disk_full", "fsync_error", "gateway_kill"), broker="redis", ack="disk")
    assert possible(options)[0].kinds == ("gateway_kill",)


def test_several_gateways_take_a_redis() -> None:
    assert "take --broker redis" in hindrance(Options(seed=1, seconds=1, kinds=("cut",), nodes=2))
    assert hindrance(SHARED) == ""


def test_pushing_past_the_gateways_takes_a_redis_and_producers_that_do() -> None:
    assert "take --broker redis" in hindrance(Options(seed=1, seconds=1, kinds=("cut",), direct=1))
    assert "more producers" in hindrance(replace(SHARED, producers=2, direct=3))
    assert hindrance(replace(SHARED, producers=2, direct=2)) == ""


def test_redis_syncs_as_acknowledgements_say() -> None:
    assert (SHARED.fsync, unsynced(SHARED).fsync) == ("always", "everysec")


@pytest.mark.parametrize("kind", REDIS)
def test_streams_and_connections_live_on_over_whatever_takes_nothing_from_redis(kind: str) -> None:
    expected = expectations(SHARED, planned(kind, "redis_link_cut"))
    assert expected.epochs_kept == expected.connections_kept == (kind not in REDIS_LOSES)
    assert expected.tails_lost == (kind == "redis_failover_lost_tail")
    assert expected.bad_resets_allowed == 0


def test_a_connection_may_end_where_something_is_done_to_links_or_gateways() -> None:
    assert not expectations(SHARED, planned(*REDIS_KEEPS, "cut")).connections_kept
    assert not expectations(SHARED, planned(*REDIS_KEEPS, "gateway_kill")).connections_kept


def test_each_loss_excuses_as_many_new_epochs_as_it_calls_for() -> None:
    assert expectations(SHARED, planned("redis_kill", "cut")).epochs_most == 1
    assert expectations(SHARED, planned("redis_flush")).epochs_most == 2
    both = expectations(SHARED, planned("redis_flush", "redis_failover_lost_tail", "redis_garbage", "redis_flush"))
    assert (both.epochs_most, both.epochs_kept) == (6, False)


def test_a_gateway_that_starts_after_a_loss_may_find_it_once_more() -> None:
    lost = ("redis_flush", "redis_failover_lost_tail", "redis_garbage", "redis_client_kill")
    for kind, more in (("gateway_kill", 3), ("gateway_drain", 3), ("worker_kill", 3), ("gateway_freeze", 0)):
        assert expectations(SHARED, planned(*lost, kind)).epochs_most == 5 + more
    assert expectations(SHARED, planned("redis_kill", "gateway_kill")).epochs_most == 1


def test_a_killed_redis_may_lose_an_end_only_where_it_does_not_sync_each_time() -> None:
    assert expectations(SHARED, planned("redis_kill")).epochs_kept
    careless = expectations(unsynced(SHARED), planned("redis_kill"))
    assert (careless.epochs_kept, careless.tails_lost, careless.epochs_most) == (False, True, 2)


def test_what_a_killed_gateway_alone_had_seen_cannot_be_told() -> None:
    assert expectations(SHARED, planned("redis_failover_lost_tail", "gateway_kill")).witnesses_lost
    assert not expectations(SHARED, planned("redis_failover_lost_tail", "gateway_freeze")).witnesses_lost
    assert not expectations(SHARED, planned("redis_kill", "gateway_kill")).witnesses_lost


def test_what_a_producer_alone_was_told_cannot_be_told_where_gateways_may_have_been_deaf() -> None:
    past = replace(SHARED, direct=1)
    for deafening in ("gateway_freeze", "redis_link_cut"):
        assert expectations(past, planned("redis_failover_lost_tail", deafening)).witnesses_lost
        assert not expectations(SHARED, planned("redis_failover_lost_tail", deafening)).witnesses_lost
    assert not expectations(past, planned("redis_failover_lost_tail", "redis_client_kill", "cut")).witnesses_lost


def test_a_redis_goes_back_in_time_alone_and_where_its_receipts_did_not_claim_the_disk() -> None:
    back = Options(seed=1, seconds=10, kinds=("redis_rolled_back", "cut"), broker="redis")
    assert possible(back) == (back, {})
    assert "--ack os" in possible(replace(back, ack="disk"))[1]["redis_rolled_back"]
    assert "--broker redis" in possible(replace(back, broker="embedded"))[1]["redis_rolled_back"]
    together = possible(replace(back, kinds=("redis_rolled_back", "redis_kill")))
    assert together[0].kinds == ("redis_kill",)


def test_a_directory_is_taken_away_from_no_broker_without_one() -> None:
    gone = Options(seed=1, seconds=10, kinds=("directory_gone",))
    assert possible(gone) == (gone, {})
    assert possible(replace(gone, broker="memory"))[0].kinds == ()
    assert possible(replace(gone, kinds=("directory_gone", "disk_full")))[0].kinds == ("disk_full",)


@pytest.mark.parametrize("kind", GONE)
def test_what_is_gone_is_told_once_and_with_its_epoch(kind: str) -> None:
    expected = expectations(Options(seed=1, seconds=10, kinds=(kind,)), planned(kind))
    assert (expected.epochs_kept, expected.epochs_most, expected.tails_lost) == (False, 2, False)


def test_who_pushes_past_the_gateways_may_be_there_before_one_that_finds_out() -> None:
    back = Options(seed=1, seconds=10, kinds=("redis_rolled_back",), broker="redis", direct=1)
    assert expectations(back, planned("redis_rolled_back")).tails_lost


def test_visitors_are_no_excuse_for_a_reader_who_loses_a_connection() -> None:
    assert expectations(Options(seed=1, seconds=10, kinds=VISITORS), planned(*VISITORS)).connections_kept


def test_no_other_broker_is_excused_by_what_redis_is() -> None:
    kinds = [kind for kind in KINDS if kind not in (*REDIS, *CLUSTER, "fsync_error", *GONE)]
    expected = expectations(Options(seed=1, seconds=10, kinds=tuple(kinds)), planned(*kinds))
    assert (expected.epochs_kept, expected.epochs_most, expected.tails_lost) == (True, 1, False)
