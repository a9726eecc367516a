"""Small turns: both sides get the same, the first turn only warms up, and each is charged with its own."""

from __future__ import annotations

from typing import cast

from benchmarks.servers.base import Running, Server
from benchmarks.turns import Side, sample_in_turns, take_turns


class Clock:
    """A process that has used so much."""

    def __init__(self) -> None:
        self.used = 0.0

    def cpu_seconds(self) -> float:
        return self.used


def test_a_turn_costs_what_its_own_server_used_for_one_of_the_load() -> None:
    clocks = {"ours": Clock(), "before": Clock()}
    servers = {name: Server(name, (), 0) for name in clocks}
    loaded: list[str] = []

    def load(server: Server) -> None:
        loaded.append(server.name)
        warm = loaded.count(server.name) > 1
        clocks[server.name].used += {"ours": 0.001, "before": 0.002}[server.name] if warm else 1.0

    ours, before = (Side(servers[name], cast(Running, clocks[name])) for name in clocks)
    cost = take_turns((ours, before), 3, 100, load)
    assert loaded == ["ours", "before"] * 4
    assert [round(each, 6) for each in cost.ours] == [10.0] * 3
    assert [round(each, 6) for each in cost.before] == [20.0] * 3


def test_what_is_measured_in_turns_is_kept_for_each_side_without_the_turn_that_warms_up() -> None:
    sides = tuple(Side(Server(name, (), 0), cast(Running, Clock())) for name in ("ours", "before"))
    measured: list[str] = []

    def measure(side: Side) -> float:
        measured.append(side.server.name)
        return float(len(measured))

    cost = sample_in_turns((sides[0], sides[1]), 2, measure)
    assert measured == ["ours", "before"] * 3
    assert cost == ((3.0, 5.0), (4.0, 6.0))
