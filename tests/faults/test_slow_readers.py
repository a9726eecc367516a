"""Readers that stop are felt by the gateway for sure, however little others publish; and time in which the gateway is
away is none in which a fault could have shown."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.application import Application
from tests.faults.campaign import run
from tests.faults.clients import never, until
from tests.faults.nemesis import cut_until
from tests.faults.options import Options
from tests.faults.proxy import Proxy
from tests.faults.schedule import Planned

PATIENCE = 0.0
"""Seconds: over with the second look."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_readers_that_stop_are_felt_though_hardly_anything_is_published(seed: int, tmp_path: Path) -> None:
    outcome = run(Options(seed=seed, seconds=3, kinds=("slow_reader",), rate=0.5, clients=4, hooks="process"), tmp_path)
    assert outcome.verdict.good, outcome.verdict.text()
    assert {fault.kind for fault in outcome.plan} == {"slow_reader"}


class Watched:
    """What shows at the fourth look, and a gateway that is away for as many as are said."""

    def __init__(self, away: int) -> None:
        self.looks = 0
        self._away = away

    def count(self) -> int:
        self.looks += 1
        return int(self.looks >= 4)

    def is_away(self) -> bool:
        return self.looks < self._away


async def test_what_shows_while_the_gateway_is_away_is_waited_for() -> None:
    watched = Watched(away=10)
    assert await until(watched.count, PATIENCE, watched.is_away) == 1


class Link(Proxy):
    """A link that counts how often it was cut."""

    cuts = 0

    def cut(self) -> int:
        self.cuts += 1
        return 1


async def test_who_is_to_be_accepted_a_third_time_is_cut_until_they_are() -> None:
    link = Link()
    assert await cut_until([link], lambda: int(link.cuts == 3), turn=0.0) == 1
    assert await cut_until([link], lambda: 0, turn=0.0) == 0


async def test_an_application_lets_nobody_in_while_something_is_done_to_it(tmp_path: Path) -> None:
    application = Application(tmp_path, 1, random.Random(1), never)
    seen: list[bool] = []

    async def fault(planned: Planned, chance: random.Random) -> int:
        seen.append(application.is_troubled)
        return 7

    assert await application._troubling(fault)(Planned(1, 0, "application_kill", 0, 1), random.Random(1)) == 7
    assert [*seen, application.is_troubled] == [True, False]


async def test_what_does_not_show_once_it_is_back_is_given_up() -> None:
    watched = Watched(away=2)
    assert await until(watched.count, PATIENCE, watched.is_away) == 0
    assert watched.looks == 3
