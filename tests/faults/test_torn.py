"""A failover may lose acknowledged publications and give their offsets out again, if all who stood there are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.checker import check
from tests.faults.history import (
    ClientStart,
    Event,
    Label,
    Payload,
    Position,
    PublishInvoke,
    PublishOk,
    Receive,
    Reset,
    Resumed,
    Subscribed,
    Top,
)
from tests.faults.test_checker import EXPECTED, run
from tests.faults.verdicts import Expectations

SECOND = 1_000_000_000
CHANNEL = "open:a"
LOSING = Expectations(epochs_most=2, tails_lost=True, bad_resets_allowed=0)


class Story:
    """A history of one channel, told event by event, a second after the other."""

    def __init__(self, *readers: str) -> None:
        self.now = 0
        self.events: list[Event] = []
        self._number = 0
        for reader in readers:
            self.events.append(ClientStart(at=self._at(), process=reader, user=reader, channels=[CHANNEL]))
            self.events.append(
                Subscribed(at=self._at(), process=reader, channel=CHANNEL, position=Position("old", 0, ""))
            )

    def _at(self) -> int:
        self.now += SECOND
        return self.now

    def invoked(self) -> int:
        """A producer asks for a publication. Returns its number."""
        self._number += 1
        self.events.append(
            PublishInvoke(at=self._at(), process="producer-1", number=self._number, channel=CHANNEL, audience="*")
        )
        return self._number

    def stored(self, epoch: str, offset: int, tag: str, *readers: str, number: int = 0) -> None:
        """A publication, a new one or one invoked before, is acknowledged there, and comes to these readers."""
        number = number or self.invoked()
        label = Label("producer-1", number, CHANNEL, "*")
        position = Position(epoch, offset, tag)
        self.events.append(PublishOk(at=self._at(), process="producer-1", number=number, position=position))
        crc = Payload.make(label, "").crc
        for reader in readers:
            self.events.append(
                Receive(
                    at=self._at(),
                    process=reader,
                    channel=CHANNEL,
                    position=position,
                    label=label,
                    crc=crc,
                    computed=crc,
                )
            )

    def told(self, reader: str, since: Position, position: Position) -> None:
        """A reader is told that something may be missing."""
        self.events.append(Reset(at=self._at(), process=reader, channel=CHANNEL, since=since, position=position))

    def resumed(self, reader: str, position: Position) -> None:
        """A reader comes back and is told that it gets all it missed."""
        event = Resumed(at=self._at(), process=reader, channel=CHANNEL, since=position, position=position)
        self.events.append(event)

    def ends(self, position: Position) -> list[Event]:
        self.events.append(Top(at=self._at(), process="campaign", channel=CHANNEL, position=position))
        return self.events


def failover(*, told: bool = True, pause: int = 0, left_behind: bool = True) -> list[Event]:
    """Offset 2 is seen by one reader, lost, and given out again to the other; then the stream has a new epoch."""
    story = Story("first", "second")
    story.stored("old", 1, "a", "first", "second")
    story.stored("old", 2, "b", "first")
    story.stored("old", 2, "x", *(["second"] if left_behind else []))
    story.now += pause * SECOND
    if told:
        story.told("first", Position("old", 2, "b"), Position("new", 0, ""))
    else:
        story.stored("old", 3, "y", "first", "second")
        return story.ends(Position("old", 3, "y"))
    if left_behind:
        story.told("second", Position("old", 2, "x"), Position("new", 0, ""))
        story.stored("new", 1, "c", "first", "second")
    else:
        story.told("second", Position("old", 1, "a"), Position("new", 0, ""))
        story.stored("new", 1, "c", "first", "second")
    return story.ends(Position("new", 1, "c"))


@pytest.mark.parametrize("left_behind", [True, False])
def test_a_torn_stream_is_allowed_where_all_who_stood_there_are_told(left_behind: bool) -> None:
    verdict = check(failover(left_behind=left_behind), LOSING)
    assert verdict.good, verdict.text()
    assert verdict.figures["torn streams"] == 1
    assert verdict.figures["lost, but told"] > 0


def test_a_torn_stream_is_a_violation_where_nothing_may_be_lost() -> None:
    assert "divergent" in check(failover(), replace(LOSING, tails_lost=False)).findings


def test_a_reader_that_is_told_nothing_of_a_torn_stream_is_a_violation() -> None:
    verdict = check(failover(told=False), LOSING)
    assert verdict.findings["divergent"] == 1  # the other has only what is still there
    assert "was told nothing" in verdict.examples["divergent"][0]


def test_a_reader_that_is_told_too_late_is_a_violation() -> None:
    assert "divergent" in check(failover(pause=60), LOSING).findings


def test_a_planted_lost_tail_is_found_out_where_lost_tails_are_allowed_too() -> None:
    verdict = check(run("keep the epoch of a lost tail"), replace(EXPECTED, tails_lost=True))
    assert "divergent" in verdict.findings


def test_what_was_acknowledged_and_lost_without_a_word_is_a_violation() -> None:
    story = Story("first")
    story.stored("old", 1, "a", "first")
    story.stored("old", 2, "b")
    assert "lost" in check(story.ends(Position("old", 1, "a")), LOSING).findings


def test_what_was_acknowledged_and_replaced_by_something_else_without_a_word_is_a_violation() -> None:
    story = Story("first")
    story.stored("old", 1, "a", "first")
    story.stored("old", 2, "b")
    story.stored("old", 2, "x", "first")
    verdict = check(story.ends(Position("old", 2, "x")), LOSING)
    assert set(verdict.findings) == {"lost"}
    verdict = check(story.events, replace(LOSING, witnesses_lost=True))
    assert verdict.good
    assert verdict.figures["lost with the gateway that knew"] == 1


def see_three(story: Story, how: str) -> None:
    """Somebody sees that the stream reaches 3."""
    third = Position("old", 3, "c")
    if how == "told":
        story.told("first", Position("before", 9, "z"), third)
    elif how == "received":
        story.told("first", Position("before", 9, "z"), Position("old", 2, "b"))
        story.stored("old", 3, "c", "first")
    elif how == "acknowledged":
        story.stored("old", 3, "c")
    elif how == "resumed":
        story.resumed("first", third)


def fall_back(how: str = "told", *, told: bool = True) -> list[Event]:
    """What nobody had asked for when a stream was seen at 3 is given the place 2 in it."""
    story = Story("first")
    see_three(story, how)
    story.stored("old", 2, "x")
    if not told:
        return story.ends(Position("old", 3, "c"))
    story.told("first", Position("old", 3, "c"), Position("new", 2, "x"))
    story.stored("new", 3, "d", "first")
    return story.ends(Position("new", 3, "d"))


@pytest.mark.parametrize("how", ["told", "received", "acknowledged", "resumed"])
def test_a_stream_that_gives_out_a_place_it_had_passed_is_torn(how: str) -> None:
    verdict = check(fall_back(how), LOSING)
    assert verdict.good, verdict.text()
    assert verdict.figures["torn streams"] == 1
    assert verdict.figures["lost, but told"] == (how in ("told", "received"))


@pytest.mark.parametrize("witnesses_lost", [False, True])
def test_a_reader_that_is_told_nothing_of_a_stream_that_went_back_has_lost_something(witnesses_lost: bool) -> None:
    verdict = check(fall_back(told=False), replace(LOSING, witnesses_lost=witnesses_lost))
    assert set(verdict.findings) == {"lost"}


def test_a_stream_that_went_back_is_a_violation_where_nothing_may_be_lost() -> None:
    assert set(check(fall_back(), replace(LOSING, tails_lost=False)).findings) == {"lost"}


@pytest.mark.parametrize("how", ["told", "received", "acknowledged", "resumed"])
def test_what_was_asked_for_before_a_stream_was_seen_further_on_is_no_sign_that_it_went_back(how: str) -> None:
    story = Story("first")
    number = story.invoked()
    see_three(story, how)
    story.stored("old", 2, "b", number=number)
    assert check(story.ends(Position("old", 3, "c")), LOSING).figures["torn streams"] == 0


def test_more_epochs_than_losses_call_for_are_a_violation() -> None:
    story = Story("first")
    at = Position("old", 0, "")
    for epoch in ("one", "two"):
        story.told("first", at, Position(epoch, 0, ""))
        story.stored(epoch, 1, epoch, "first")
        at = Position(epoch, 1, epoch)
    assert check(story.ends(at), LOSING).good
    assert set(check(story.ends(at), replace(LOSING, epochs_most=1)).findings) == {"bad reset"}


@pytest.mark.parametrize(("pause", "findings"), [(1, set()), (60, {"bad reset"})])
def test_a_reset_within_an_epoch_is_right_only_when_another_follows_at_once(pause: int, findings: set[str]) -> None:
    story = Story("first")
    story.stored("old", 1, "a", "first")
    story.told("first", Position("old", 1, "a"), Position("old", 1, "a"))
    story.now += pause * SECOND
    story.told("first", Position("old", 1, "a"), Position("new", 0, ""))
    story.stored("new", 1, "c", "first")
    assert set(check(story.ends(Position("new", 1, "c")), LOSING).findings) == findings


@pytest.mark.parametrize(("pause", "findings"), [(1, set()), (60, {"bad reset"})])
def test_a_reset_is_right_before_the_first_epoch_in_which_anything_was_stored(pause: int, findings: set[str]) -> None:
    story = Story("first")
    empty = Position("old", 0, "")
    story.told("first", empty, empty)
    story.now += pause * SECOND
    story.told("first", empty, Position("new", 0, ""))
    story.stored("new", 1, "c", "first")
    assert set(check(story.ends(Position("new", 1, "c")), LOSING).findings) == findings
