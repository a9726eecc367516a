"""Two servers at once, loaded in small turns: what a turn costs either, a second apart instead of a minute.

Rounds with fresh processes, as elsewhere, are half a minute apart, and on a machine with neighbours that decides the
comparison. A server that waits costs the other nothing but its pings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from benchmarks.crowd import crowd
from benchmarks.plan import MakeServer, Plan
from benchmarks.servers.base import Running, Server, running
from benchmarks.servers.nchan import PING_SECONDS


class Side(NamedTuple):
    """One of the two, started."""

    server: Server
    process: Running


class Cost(NamedTuple):
    """What turns cost: a sample a turn, of ours and of the other."""

    ours: tuple[float, ...]
    before: tuple[float, ...]


@contextmanager
def both(plan: Plan, before: MakeServer, ours: MakeServer | None = None) -> Iterator[tuple[Side, Side]]:
    """Ours, as it is started without flags unless `ours` says otherwise, and the other, from when both have started."""
    with ExitStack() as stack:
        sides = []
        for make in (ours or plan.ours, before):  # one after the other, for each takes a port that is free
            server = make(plan.scratch)
            sides.append(Side(server, stack.enter_context(running(server, plan.scratch))))
        yield sides[0], sides[1]


def take_turns(sides: tuple[Side, Side], turns: int, count: int, load: Callable[[Server], None]) -> Cost:
    """Load both in turns, and once before that to warm them up.

    Args:
        sides: the two.
        turns: of each.
        count: how much one load is.
        load: loads a server.

    Returns:
        Microseconds of server CPU for one of `count`.
    """

    def charged(side: Side) -> float:
        used = side.process.cpu_seconds()
        load(side.server)
        return (side.process.cpu_seconds() - used) / count * 1e6

    return sample_in_turns(sides, turns, charged)


def sample_in_turns(sides: tuple[Side, Side], turns: int, measure: Callable[[Side], float]) -> Cost:
    """Measure both in turns, and once before that to warm them up.

    Args:
        sides: the two.
        turns: of each.
        measure: loads a side, and returns what it found.
    """
    ours, before = sample_each_in_turns(sides, turns, measure)
    return Cost(ours, before)


def sample_each_in_turns(
    sides: Sequence[Side], turns: int, measure: Callable[[Side], float]
) -> list[tuple[float, ...]]:
    """The same of any number of sides; for each, in their order, its samples."""
    samples: list[list[float]] = [[] for _ in sides]
    for turn in range(turns + 1):
        for side, found in zip(sides, samples, strict=True):
            measured = measure(side)
            if turn:
                found.append(measured)
    return [tuple(found) for found in samples]


def idle_together(sides: tuple[Side, Side], connections: int, windows: int, plan: Plan) -> Cost:
    """Let both hold as many connections that answer pings, and nothing else.

    Returns:
        Percent of a core over the same ping intervals, one a window.
    """
    with ExitStack() as stack:
        for side in sides:
            stack.enter_context(crowd(side.server, connections, plan.scratch))
        time.sleep(PING_SECONDS)
        samples: tuple[list[float], list[float]] = ([], [])
        for _ in range(windows):
            used, since = [side.process.cpu_seconds() for side in sides], time.monotonic()
            time.sleep(PING_SECONDS)
            for side, before, found in zip(sides, used, samples, strict=True):
                found.append((side.process.cpu_seconds() - before) / (time.monotonic() - since) * 100)
        return Cost(tuple(samples[0]), tuple(samples[1]))
