"""What was asked of an application: every promise that is broken is found, and nothing is in a run that keeps them."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

import pytest

from messageflow.hub.hook_calls import AWAY
from tests.faults.checker import check
from tests.faults.handled import REFUSED
from tests.faults.history import (
    Admitted,
    CameIn,
    Close,
    End,
    Event,
    FaultStart,
    FaultStop,
    Handled,
    Handling,
    Told,
    ToldFail,
    ToldOk,
    WentOut,
)
from tests.faults.verdicts import Expectations, Kind

SECOND = 1_000_000_000
TELLERS = ("teller-1", "teller-2")
PROCESS = Expectations(hooks="process")
WEBHOOK = Expectations(hooks="webhook")
SURVIVED = Expectations(hooks="process", survivors=True)


class Application:
    """An application that keeps every promise, unless it is told not to; nothing happens in it by itself."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._clock = count(1)
        self._numbers = dict.fromkeys(TELLERS, 0)
        self._connections = 0
        self._faults = 0
        self.clients: dict[str, str] = {}

    def now(self) -> int:
        return next(self._clock) * SECOND

    def come(self, teller: str, *, admitted: bool = True) -> str:
        self._connections += 1
        client = self.clients[teller] = f"c{self._connections}"
        self.events.append(CameIn(at=self.now(), process="h", client=client, user=teller))
        if admitted:
            self.events.append(Admitted(at=self.now(), process=teller, client=client))
        return client

    def go(self, teller: str, *, told: int = 1, closed: bool = True) -> None:
        client = self.clients.pop(teller)
        if closed:
            self.events.append(Close(at=self.now(), process=teller, code=0))
        for _ in range(told):
            self.events.append(WentOut(at=self.now(), process="h", client=client, code=0, reason=""))

    def tell(self, teller: str, wish: str = "do") -> int:
        self._numbers[teller] += 1
        number = self._numbers[teller]
        self.events.append(Told(at=self.now(), process=teller, number=number, wish=wish))
        return number

    def handle(self, teller: str, number: int, *, ends: bool = True) -> None:
        self.events.append(Handling(at=self.now(), process="h", teller=teller, number=number))
        if ends:
            self.events.append(Handled(at=self.now(), process="h", teller=teller, number=number))

    def ok(self, teller: str, number: int) -> None:
        self.events.append(ToldOk(at=self.now(), process=teller, number=number))

    def fail(self, teller: str, number: int, code: int, reason: str = "", *, last: bool = True) -> None:
        self.events.append(ToldFail(at=self.now(), process=teller, number=number, code=code, reason=reason, last=last))

    def begin(self, kind: str) -> None:
        self._faults += 1
        self.events.append(FaultStart(at=self.now(), process="nemesis", fault=self._faults, kind=kind))
        self._begun = kind, self._faults

    def ended(self) -> list[Event]:
        """Return the end of the fault that was begun."""
        kind, number = self._begun
        return [FaultStop(at=self.now(), process="nemesis", fault=number, kind=kind, fired=1)]

    def fault(self, kind: str, lasts: int = 1) -> None:
        self._faults += 1
        self.events.append(FaultStart(at=self.now(), process="nemesis", fault=self._faults, kind=kind))
        for _ in range(lasts):
            self.now()
        self.events.append(FaultStop(at=self.now(), process="nemesis", fault=self._faults, kind=kind, fired=1))


def run(seed: int = 1, steps: int = 200) -> Application:
    """Return a run in which everything happens that may, without a kill."""
    chance = random.Random(seed)
    told = Application()
    for teller in TELLERS:
        told.come(teller)
    for _ in range(steps):
        teller = chance.choice(TELLERS)
        if chance.random() < 0.1:
            told.go(teller)
            told.come(teller)
            continue
        carry_on(told, teller, chance)
    for teller in TELLERS:
        told.go(teller)
        told.events.append(End(at=told.now(), process=teller))
    return told


def carry_on(told: Application, teller: str, chance: random.Random) -> None:
    """Tell something, and let one of the things come of it that may."""
    outcome = chance.choice(
        ("ok", "ok", "ok", "refused", "failed", "unknown", "unknown and not begun", "away", "later")
    )
    number = told.tell(teller, {"refused": "refuse", "failed": "fail"}.get(outcome, "do"))
    if outcome in ("ok", "refused", "failed", "unknown"):
        told.handle(teller, number, ends=outcome in ("ok", "unknown"))
    match outcome:
        case "ok":
            told.ok(teller, number)
        case "refused":
            told.fail(teller, number, REFUSED)
        case "failed":
            told.fail(teller, number, 100, "internal server error")
        case "away":
            told.fail(teller, number, AWAY.code, AWAY.message)
        case "later":
            told.fail(teller, number, AWAY.code, AWAY.message, last=False)
            told.handle(teller, number)
            told.ok(teller, number)
        case _:
            told.fail(teller, number, 113)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("expected", [PROCESS, WEBHOOK, SURVIVED], ids=["process", "webhook", "survived"])
def test_an_application_that_keeps_every_promise_is_found_good(seed: int, expected: Expectations) -> None:
    verdict = check(run(seed).events, expected)
    assert verdict.good, verdict.text()
    assert verdict.figures["told and handled"] > 20
    assert verdict.figures["ends told"] == verdict.figures["let in"] > 10


def acknowledge_before_handling(told: Application) -> None:
    told.ok(TELLERS[0], told.tell(TELLERS[0]))


def acknowledge_what_only_began(told: Application) -> None:
    number = told.tell(TELLERS[0])
    told.handle(TELLERS[0], number, ends=False)
    told.ok(TELLERS[0], number)


def forget_the_key(told: Application) -> None:
    number = told.tell(TELLERS[0])
    told.handle(TELLERS[0], number)
    told.handle(TELLERS[0], number)
    told.ok(TELLERS[0], number)


def handle_again_what_nobody_knew(told: Application) -> None:
    number = told.tell(TELLERS[0])
    told.handle(TELLERS[0], number, ends=False)
    told.handle(TELLERS[0], number)
    told.fail(TELLERS[0], number, 113)


def call_away_what_was_handled(told: Application) -> None:
    number = told.tell(TELLERS[0])
    told.handle(TELLERS[0], number)
    told.fail(TELLERS[0], number, AWAY.code, AWAY.message)


def acknowledge_a_refusal(told: Application) -> None:
    number = told.tell(TELLERS[0], "refuse")
    told.handle(TELLERS[0], number, ends=False)
    told.ok(TELLERS[0], number)


def refuse_by_itself(told: Application) -> None:
    told.fail(TELLERS[0], told.tell(TELLERS[0]), REFUSED)


def never_answer(told: Application) -> None:
    told.handle(TELLERS[0], told.tell(TELLERS[0]))


def handle_out_of_order(told: Application) -> None:
    first, second = told.tell(TELLERS[0]), told.tell(TELLERS[0])
    for number in (second, first):
        told.handle(TELLERS[0], number)
        told.ok(TELLERS[0], number)


def hand_over_what_nobody_told(told: Application) -> None:
    told.handle("teller-9", 1)


def tell_no_end(told: Application) -> None:
    told.come(TELLERS[0])
    told.go(TELLERS[0], told=0)


def tell_an_end_twice(told: Application) -> None:
    told.come(TELLERS[0])
    told.go(TELLERS[0], told=2)


def tell_the_end_of_a_stranger(told: Application) -> None:
    told.events.append(WentOut(at=told.now(), process="h", client="stranger", code=0, reason=""))


def tell_nothing_of_a_worker_that_was_killed(told: Application) -> None:
    told.come(TELLERS[0])
    for _ in range(5):
        told.now()
    told.fault("worker_kill")
    told.go(TELLERS[0], told=0)


BUGS: dict[Callable[[Application], None], Kind] = {
    acknowledge_before_handling: "lost",
    acknowledge_what_only_began: "lost",
    forget_the_key: "duplicate",
    handle_again_what_nobody_knew: "duplicate",
    call_away_what_was_handled: "phantom",
    acknowledge_a_refusal: "phantom",
    refuse_by_itself: "phantom",
    never_answer: "stuck",
    handle_out_of_order: "reordered",
    hand_over_what_nobody_told: "phantom",
    tell_no_end: "lost",
    tell_an_end_twice: "duplicate",
    tell_the_end_of_a_stranger: "phantom",
    tell_nothing_of_a_worker_that_was_killed: "lost",
}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
@pytest.mark.parametrize("expected", [PROCESS, WEBHOOK], ids=["process", "webhook"])
def test_a_planted_bug_is_found_out(bug: Callable[[Application], None], expected: Expectations) -> None:
    told = run()
    bug(told)
    assert set(check(told.events, expected).findings) == {BUGS[bug]}


@pytest.mark.parametrize("kind", [Handled, Handling, WentOut])
def test_nothing_that_an_application_says_can_be_taken_away_or_doubled_unnoticed(kind: type[Event]) -> None:
    told = Application()
    for teller in TELLERS:
        told.come(teller)
    for number in range(20):
        teller = TELLERS[number % 2]
        told.handle(teller, told.tell(teller))
        told.ok(teller, number // 2 + 1)
    for teller in TELLERS:
        told.go(teller)
    assert check(told.events, PROCESS).good
    for place, event in enumerate(told.events):
        if isinstance(event, kind):
            assert not check(told.events[:place] + told.events[place + 1 :], PROCESS).good
            if kind is not Handled:
                assert not check([*told.events[: place + 1], event, *told.events[place + 1 :]], PROCESS).good


def silent(
    kind: str, *, lasts: int = 1, admitted: bool = True, closed: bool = True, before: bool = True
) -> list[Event]:
    """Return a run in which somebody's end is not told, and something else happens."""
    told = Application()
    told.come(TELLERS[0], admitted=admitted)
    for _ in range(5):
        told.now()
    if before:
        told.fault(kind, lasts)
        told.go(TELLERS[0], told=0, closed=closed)
    else:
        told.go(TELLERS[0], told=0, closed=closed)
        told.fault(kind, lasts)
    return told.events


@pytest.mark.parametrize(("kind", "good"), [("application_kill", True), ("worker_kill", False)])
def test_what_was_told_while_the_application_was_away_may_be_handled_later(kind: str, good: bool) -> None:
    told = Application()
    told.come(TELLERS[0])
    told.begin(kind)
    first = told.tell(TELLERS[0])  # turned away, and the answer is lost
    told.events += told.ended()
    second = told.tell(TELLERS[0])
    for number in (second, first):
        told.handle(TELLERS[0], number)
        told.ok(TELLERS[0], number)
    told.go(TELLERS[0])
    assert check(told.events, WEBHOOK).findings == ({} if good else {"reordered": 1})


def test_a_gateway_that_nobody_outlives_takes_the_ends_with_it() -> None:
    assert check(silent("gateway_kill"), PROCESS).good
    assert check(silent("gateway_kill"), SURVIVED).findings == {"lost": 1}
    assert check(silent("gateway_drain"), PROCESS).findings == {"lost": 1}


def test_one_that_is_killed_just_after_somebody_went_may_not_have_told_it() -> None:
    assert check(silent("worker_kill", before=False), PROCESS).good
    assert check(silent("worker_kill", before=True), PROCESS).findings == {"lost": 1}


def test_of_one_who_says_nothing_nobody_knows_whether_a_kill_came_before() -> None:
    assert check(silent("worker_kill", admitted=False, closed=False), PROCESS).good


@pytest.mark.parametrize("end", ["worker_kill", "gateway_drain"])
def test_by_webhook_a_gateway_that_ends_while_the_application_is_away_takes_ends_along(end: str) -> None:
    told = Application()
    told.come(TELLERS[0])
    for _ in range(5):
        told.now()
    told.begin("application_kill")
    told.go(TELLERS[0], told=0)
    for _ in range(5):
        told.now()
    assert check([*told.events, *told.ended()], WEBHOOK).findings == {"lost": 1}
    told.fault(end)
    assert check([*told.events, *told.ended()], WEBHOOK).good


def test_an_end_whose_answer_was_lost_is_told_again_by_webhook_alone() -> None:
    told = Application()
    told.come(TELLERS[0])
    told.go(TELLERS[0])
    told.fault("application_answer_lost")
    told.events.append(WentOut(at=told.now(), process="h", client="c1", code=0, reason=""))
    assert check(told.events, WEBHOOK).good
    assert check(told.events, PROCESS).findings == {"duplicate": 1}


def test_without_hooks_nothing_is_judged() -> None:
    told = run()
    tell_no_end(told)
    assert check(told.events).good
