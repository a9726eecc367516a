"""Memory of gateways is told by crowds of young processes, at rest; by systems that only say what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.scale import memory_runs, meter
from benchmarks.scale.experiments import SHORT
from benchmarks.scale.load import Visitors
from benchmarks.scale.memory_runs import coming_back, coming_in, leaving, resuming
from benchmarks.scale.meter import Meter
from benchmarks.scale.model import Resource, Unit
from benchmarks.servers.over_redis import System

EACH, GOING, STORED = 4_000.0, 6_000.0, 3_000.0  # bytes of a connection, for the moment it goes, of what it missed


class Gateway:
    """A gateway that grows as real ones do, and never gives back. `memory` is what it holds."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start a process."""
        self.memory = 50_000_000.0
        self.free = 0.0

    def take(self, amount: float) -> None:
        """Need so much more."""
        grown = max(0.0, amount - self.free)
        self.free = max(0.0, self.free - amount)
        self.memory += grown


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    made = Gateway()

    @contextmanager
    def started(_: Path, nodes: int) -> Iterator[System]:
        made.begin()
        yield System((made,) * max(nodes, 1))  # type: ignore[arg-type]

    @contextmanager
    def come(_: System, visitors: Visitors, __: Path, counts: dict[Unit, float]) -> Iterator[None]:
        counts[Unit.CONNECT] = visitors.count
        counts[Unit.RESUME] = visitors.count * len(visitors.held(visitors.first))
        made.take(visitors.count * EACH)
        yield None
        made.take(visitors.count * GOING)
        made.free += visitors.count * (GOING + EACH)

    def leave_behind(_: System, numbers: range, __: str) -> object:
        made.take(len(numbers) * STORED)
        return lambda number: {"#": number, "*": number, "bench:all": number}

    class Weighed(Meter):
        def __init__(self, system: System, _: float) -> None:
            pass

        def memory_at_rest(self) -> float:
            return made.memory

    monkeypatch.setattr(memory_runs, "started", started)
    monkeypatch.setattr(memory_runs, "come", come)
    monkeypatch.setattr(memory_runs, "leave_behind", leave_behind)
    monkeypatch.setattr(memory_runs, "warm_up", lambda *_: None)
    monkeypatch.setattr(memory_runs, "Meter", Weighed)
    return made


def test_one_that_comes_with_positions_is_not_charged_with_what_its_history_holds(
    gateway: Gateway, tmp_path: Path
) -> None:
    [seen] = resuming(tmp_path, SHORT, nodes=1, times=1)
    assert seen.usage[Resource.MEMORY] == SHORT.fitted * EACH
    assert seen.counts[Unit.RESUME] == 3 * SHORT.fitted


def test_what_going_takes_is_told_apart_from_what_a_connection_takes(gateway: Gateway, tmp_path: Path) -> None:
    [seen] = leaving(tmp_path, SHORT, nodes=1, times=1)
    assert seen.counts == {Unit.CONNECT: SHORT.fitted, Unit.LEAVE: SHORT.fitted, Unit.GROW: 1}
    assert seen.usage[Resource.MEMORY] == SHORT.fitted * (EACH + GOING)


def test_who_comes_back_has_room_in_what_those_who_went_gave_back(gateway: Gateway, tmp_path: Path) -> None:
    [before], [after] = coming_in(tmp_path, SHORT), coming_back(tmp_path, SHORT)
    assert Unit.LEAVE not in before.counts
    assert Unit.RESUME not in after.counts
    assert after.counts[Unit.LEAVE] == SHORT.back
    assert after.usage[Resource.MEMORY] == SHORT.back * (EACH + GOING)


def test_memory_is_looked_at_until_it_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a gateway that waits for its turn looks idle."""
    held = iter([50e6, 60e6, 70e6, 70e6, 90e6])
    monkeypatch.setattr(meter, "REST_SECONDS", 0.0)
    monkeypatch.setattr(Meter, "__init__", lambda self: None)
    monkeypatch.setattr(Meter, "settle", lambda self: None)
    monkeypatch.setattr(Meter, "memory", lambda self: next(held))
    assert Meter().memory_at_rest() == 70e6  # type: ignore[call-arg]
