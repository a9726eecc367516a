"""The campaign itself, on a small run with real processes; `python -m tests.faults` is the thing itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.__main__ import SHORT, _kinds, _parser, _runs, main
from tests.faults.campaign import run
from tests.faults.options import Options, possible
from tests.faults.schedule import KINDS, REDIS


@pytest.mark.slow
def test_nothing_is_lost_over_a_cut_and_a_killed_gateway(tmp_path: Path) -> None:
    options = Options(seed=1, seconds=3, kinds=("cut", "gateway_kill"), clients=4, producers=2)
    outcome = run(options, tmp_path)
    assert outcome.verdict.good, outcome.verdict.text()
    assert {fault.kind for fault in outcome.plan} == {"cut", "gateway_kill"}
    assert outcome.verdict.figures["acknowledged"] > 50
    assert outcome.kept is None


@pytest.mark.slow
def test_nothing_is_lost_when_the_redis_of_two_gateways_is_killed(tmp_path: Path) -> None:
    kinds = ("redis_kill", "redis_link_cut")
    load = Options(seed=1, seconds=5, kinds=kinds, clients=4, producers=2, direct=1)
    outcome = run(replace(load, broker="redis", nodes=2, ack="disk"), tmp_path)
    assert outcome.verdict.good, outcome.verdict.text()
    assert {fault.kind for fault in outcome.plan} == set(kinds)


@pytest.mark.slow
def test_visitors_who_come_and_go_trouble_nobody(tmp_path: Path) -> None:
    kinds = ("visitors_leave", "visitors_reload", "visitors_waver")
    outcome = run(Options(seed=2, seconds=8, kinds=kinds, clients=4, producers=2, workers=2), tmp_path)
    assert outcome.verdict.good, outcome.verdict.text()
    assert {fault.kind for fault in outcome.plan} == set(kinds)


def test_what_cannot_be_done_is_named_and_left_out() -> None:
    options, missing = possible(
        Options(seed=1, seconds=1, kinds=("cut", "worker_kill", "fsync_error"), broker="memory")
    )
    assert options.kinds == ("cut",)
    assert "more than one worker" in missing["worker_kill"]
    assert "keeps a file" in missing["fsync_error"]


def test_the_short_form_has_every_kind_of_fault() -> None:
    assert {kind for options in SHORT for kind in options.kinds} == set(KINDS)


def test_a_redis_is_run_so_that_its_acknowledgements_mean_the_disk_unless_told_otherwise() -> None:
    def acks(*arguments: str) -> set[str]:
        return {options.ack for options in _runs(_parser().parse_args(["--broker", "redis", *arguments]))}

    assert acks("--kinds", "redis") == acks() == {"disk"}
    assert acks("--kinds", "redis", "--ack", "os") == {"os"}


def test_with_redis_some_producers_push_past_the_gateways() -> None:
    def direct(*arguments: str) -> set[int]:
        return {options.direct for options in _runs(_parser().parse_args([*arguments, "--kinds", "cut"]))}

    assert direct("--broker", "redis") == {1}
    assert direct("--broker", "redis", "--direct", "0") == direct() == {0}


def test_kinds_are_named_by_themselves_or_by_group() -> None:
    assert set(_kinds("redis")) == set(REDIS)
    assert _kinds("workers,cut,worker_kill") == ("worker_kill", "worker_freeze", "parent_kill", "cut")


def test_an_unknown_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--kinds", "earthquake"])
    assert "earthquake" in capsys.readouterr().err
