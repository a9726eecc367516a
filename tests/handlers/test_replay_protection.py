"""Whether a request is new: by its time, by its id, and what is forgotten is too old."""

from __future__ import annotations

from messageflow.core.webhook_signatures import TOLERANCE
from messageflow.handlers.replay_protection import Replays

NOW = 1_790_000_000


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def test_an_id_passes_once_and_a_time_within_the_tolerance() -> None:
    replays = Replays(Clock())
    assert replays.enter("a", NOW) == ""
    assert replays.enter("a", NOW) == "replayed"
    assert replays.enter("b", NOW) == ""
    assert replays.enter("c", NOW - TOLERANCE) == ""
    assert replays.enter("d", NOW + TOLERANCE) == ""
    assert replays.enter("e", NOW - TOLERANCE - 1) == "old"
    assert replays.enter("f", NOW + TOLERANCE + 1) == "early"


def test_an_id_is_kept_for_as_long_as_its_time_would_pass() -> None:
    clock = Clock()
    replays = Replays(clock)
    assert replays.enter("a", NOW + TOLERANCE) == ""
    clock.now = NOW + 2 * TOLERANCE
    assert replays.enter("b", NOW + 2 * TOLERANCE) == ""
    assert replays.enter("a", NOW + TOLERANCE) == "replayed"
    clock.now += 1
    assert replays.enter("c", NOW + 2 * TOLERANCE + 1) == ""
    assert replays.enter("a", NOW + TOLERANCE) == "old"
    assert len(replays._seen) == 2, "what is too old is not kept"


def test_what_had_to_be_forgotten_is_too_old_from_then_on() -> None:
    replays = Replays(Clock(), size=10)
    for number in range(12):
        assert replays.enter(f"id-{number}", NOW + number) == ""
    assert replays._count <= 10
    assert replays.enter("id-0", NOW) == "old"
    assert replays.enter("another", NOW + 1) == "old"
    assert replays.enter("id-11", NOW + 11) == "replayed"
