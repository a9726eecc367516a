"""The checker catches what it is there for: every planted bug by its name, and nothing in histories without one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.checker import check
from tests.faults.history import (
    EVERYONE,
    End,
    Event,
    FaultStart,
    FaultStop,
    Position,
    PublishOk,
    Receive,
    Recorder,
    Subscribed,
    read_history,
    write_history,
)
from tests.faults.model import OUTCOMES, WINDOW, Bug, Model
from tests.faults.tampering import EDITS, Edit, answer_never, change, last
from tests.faults.verdicts import Expectations, Kind

USERS = 4
PRODUCERS = ("producer-1", "producer-2")
EXPECTED = Expectations(
    kinds=frozenset({"cut", "gateway_kill"}),
    minimum={"acknowledged": 100, "received": 300, "resumed": 20, "resets": 1, "recovered": 1, "faults": 2},
    memory_budget=100_000_000,
    history_size=WINDOW,
    bad_resets_allowed=0,
)
"""What the histories of `run` hold."""


def run(bug: Bug | None = None, seed: int = 1, actions: int = 600) -> list[Event]:
    """Return the history of a run in which everything happens that may happen."""
    chance = random.Random(seed)
    model = Model(USERS, bug)
    for which in range(USERS):
        model.come(which)
    model.fault("cut")
    for number in range(actions):
        draw = chance.random()
        if draw < 0.6:
            outcome = "ok" if chance.random() < 0.8 else chance.choice(OUTCOMES)
            model.publish(chance.choice(PRODUCERS), chance.choice(model.channels), outcome)
        elif draw < 0.7:
            model.publish_two(chance.choice(PRODUCERS), chance.choice(model.channels))
        elif draw < 0.8:
            model.go(chance.randrange(USERS))
        else:
            model.come(chance.randrange(USERS))
        if number == actions // 2:
            crash(model)
        elif number == actions * 3 // 4:
            outlast(model)
    return model.finish()


def crash(model: Model) -> None:
    """A channel loses its tail, and gets as much again before anybody comes back."""
    model.fault("gateway_kill")
    model.lose_tail(EVERYONE, 5)
    for _ in range(8):
        model.publish(PRODUCERS[0], EVERYONE, "ok")


def outlast(model: Model) -> None:
    """Somebody is away for longer than the window reaches back."""
    model.go(0)
    for _ in range(WINDOW + 5):
        model.publish(PRODUCERS[1], "open:a", "ok")
    model.come(0)


def test_a_run_in_which_every_promise_is_kept_is_good() -> None:
    verdict = check(run(), EXPECTED)
    assert verdict.good, verdict.text()


PLANTED: dict[Bug, Kind] = {
    "acknowledge before storing": "lost",
    "keep the epoch of a lost tail": "divergent",
    "forget the idempotency key": "duplicate",
    "deliver to the wrong user": "leak",
    "skip one delivery in forty": "lost",
    "resend on resume": "duplicate",
    "skip the first of what was missed": "lost",
    "skip the last of what was missed": "lost",
    "recover across a lost window": "silent gap",
    "recover across epochs": "silent gap",
    "never recover": "bad reset",
    "subscribe beyond the top": "lost",
    "swap on delivery": "reordered",
    "store in the wrong order": "reordered",
    "store what failed": "phantom",
    "flip a bit": "corrupt",
}


@pytest.mark.parametrize("bug", PLANTED)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_gateway_with_a_planted_bug_is_found_out(bug: Bug, seed: int) -> None:
    assert PLANTED[bug] in check(run(bug, seed), EXPECTED).findings


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_good_history_that_was_tampered_with_is_found_out(edit: Edit, seed: int) -> None:
    assert EDITS[edit] in check(edit(run(seed=seed)), EXPECTED).findings


def test_of_a_run_without_resets_not_one_delivery_can_be_taken_away_doubled_or_moved_unnoticed() -> None:
    chance = random.Random(7)
    model = Model(2)
    for _ in range(150):
        model.publish(PRODUCERS[0], chance.choice(model.channels), chance.choice(("ok", "ok", *OUTCOMES)))
        model.come(chance.randrange(2))
        if chance.random() < 0.1:
            model.go(chance.randrange(2))
    events = model.finish()
    assert check(events).good
    for place, event in enumerate(events):
        if isinstance(event, Receive):
            moved = event.position._replace(offset=event.position.offset + 1)
            assert not check(events[:place] + events[place + 1 :]).good
            assert not check([*events[: place + 1], event, *events[place + 1 :]]).good
            assert not check(change(events, place, position=moved)).good


def test_a_new_epoch_is_a_violation_where_streams_must_live_on() -> None:
    keeping = Expectations(history_size=WINDOW, epochs_kept=True, bad_resets_allowed=0)
    assert set(check(run(), keeping).findings) == {"bad reset"}


def test_bad_resets_only_count_unless_they_are_forbidden() -> None:
    verdict = check(run("never recover"), Expectations(history_size=WINDOW))
    assert verdict.good
    assert verdict.figures["bad resets"] > 0


@pytest.mark.parametrize("healed", [False, True])
def test_a_connection_that_ends_before_all_is_healed_is_a_violation_where_all_must_be_kept(healed: bool) -> None:
    model = Model(1)
    model.come(0)
    if healed:
        model.finish()
    model.go(0)
    verdict = check(model.finish(), Expectations(connections_kept=True))
    assert set(verdict.findings) == (set() if healed else {"disconnected"})


def test_nothing_is_owed_to_a_client_that_left() -> None:
    model = Model(1)
    model.come(0)
    model.publish("producer-1", EVERYONE, "ok")
    model.go(0)
    model.events.append(End(at=model.events[-1].at, process=model.clients[0].name))
    model.publish("producer-1", EVERYONE, "ok")
    assert check(model.events).good


def test_a_killed_producer_may_leave_a_call_without_an_outcome() -> None:
    whole = run()
    events, process, at = answer_never(whole), whole[last(whole, PublishOk)].process, whole[-1].at
    events.append(FaultStart(at=at, process="nemesis", fault=99, kind="publisher_kill", target=process))
    events.append(FaultStop(at=at, process="nemesis", fault=99, kind="publisher_kill", fired=1))
    assert "stuck" not in check(events, EXPECTED).findings


def test_an_unknown_outcome_counts_neither_as_stored_nor_as_not_stored() -> None:
    model = Model(1)
    model.come(0)
    model.publish("producer-1", EVERYONE, "unknown stored")
    model.publish("producer-1", EVERYONE, "unknown not stored")
    verdict = check(model.finish())
    assert verdict.good
    assert (verdict.figures["unknown"], verdict.figures["recovered"]) == (2, 1)
    assert verdict.figures["acknowledged"] == 0


actions = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(PRODUCERS), st.integers(0, USERS + 1), st.sampled_from(OUTCOMES)),
    st.tuples(st.just("publish_two"), st.sampled_from(PRODUCERS), st.integers(0, USERS + 1)),
    st.tuples(st.just("come"), st.integers(0, USERS - 1)),
    st.tuples(st.just("go"), st.integers(0, USERS - 1)),
    st.tuples(st.just("lose_tail"), st.integers(0, USERS + 1), st.integers(0, 6)),
    st.tuples(st.just("fault"), st.sampled_from(("cut", "pause"))),
)


@given(st.lists(actions, max_size=150))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_a_gateway_that_keeps_its_promises_is_found_good(script: list[tuple[object, ...]]) -> None:
    model = Model(USERS)
    for name, *arguments in script:
        if name in ("publish", "publish_two"):
            arguments[1] = model.channels[int(str(arguments[1]))]
        elif name == "lose_tail":
            arguments[0] = model.channels[int(str(arguments[0]))]
        getattr(model, str(name))(*arguments)
    verdict = check(model.finish(), Expectations(history_size=WINDOW, bad_resets_allowed=0))
    assert verdict.good, verdict.text()


def test_a_history_survives_its_file(tmp_path: Path) -> None:
    events = run()
    write_history(tmp_path / "history.jsonl", events)
    assert read_history([tmp_path / "history.jsonl"]) == events


def test_the_files_of_several_processes_become_one_history_in_the_order_of_time(tmp_path: Path) -> None:
    position = Position("e", 0)
    names = ("a", "b")
    recorders = [Recorder(tmp_path / name) for name in names]
    for at in range(6):
        name = names[at % 2]
        recorders[at % 2].write(Subscribed(at=at, process=name, channel=EVERYONE, position=position))
    for recorder in recorders:
        recorder.close()
    assert [event.at for event in read_history([tmp_path / name for name in names])] == list(range(6))


def test_the_last_line_of_a_killed_process_is_left_out_when_it_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    write_history(path, run()[:3])
    path.write_bytes(path.read_bytes() + b'{"event":"clo')
    assert len(read_history([path])) == 3
