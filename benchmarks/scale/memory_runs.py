"""The runs that memory is told by: young gateways, one crowd each, looked at when all are at rest.

Memory that was given back is taken again by whoever comes next, and what was needed for a moment stays with the
process. So a crowd that comes after another, or after a burst, seems to take less than it does, and one that comes
back seems to take what was needed while all went. Here every crowd comes to a process in which nothing was before but
a few, and what it left behind is there before anybody looks.

What those who are connected hold hardly depends on load. What going takes does: it is dearest when all wait for Redis
at the same time, as small crowds do, so it is a bound for large ones. Never measures anything but memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.scale.experiments import (
    EMBEDDED,
    FIRST,
    OVER_REDIS,
    PING_SECONDS,
    Run,
    Runs,
    Size,
    in_channel,
    in_two,
    none,
    own,
    shared,
    warm_up,
)
from benchmarks.scale.fitting import Observation
from benchmarks.scale.load import Channels, Visitors, come, leave_behind, nothing
from benchmarks.scale.meter import Meter, started
from benchmarks.scale.model import KEPT_BY, Counts, Resource, Unit
from benchmarks.servers.gateway import CHANNEL
from benchmarks.servers.over_redis import System

TIMES = (1, 3)  # the usual phase: two sizes tell what each takes from what a process takes once


def resident(name: str, counts: Counts, taken: float) -> Observation:
    """What work holds of memory, and nothing else."""
    kept = {unit: count for unit, count in counts.items() if unit in KEPT_BY[Resource.MEMORY] and count}
    return Observation(name, kept, {Resource.MEMORY: taken})


def arriving(scratch: Path, size: Size, *, nodes: int, times: int, channels: Channels) -> list[Observation]:
    """A crowd comes to young gateways, over Redis, or to one with the embedded broker for 0 nodes."""
    return _crowd(scratch, nodes, times * size.fitted, channels)


def resuming(scratch: Path, size: Size, *, nodes: int, times: int) -> list[Observation]:
    """The same, each with three positions. What their publications hold is there before, and is not counted."""
    return _crowd(scratch, nodes, times * size.fitted, in_channel, holds=True)


def leaving(scratch: Path, size: Size, *, nodes: int, times: int) -> list[Observation]:
    """A crowd comes and goes, all at once: what they held is given back, what that took for the moment stays."""
    return _crowd(scratch, nodes, times * size.fitted, none, goes=True)


def mixing(scratch: Path, size: Size) -> list[Observation]:
    """To be predicted: the crowd of the mixed run, over two nodes."""
    return _crowd(scratch, 2, size.mixed, in_two)


def coming_in(scratch: Path, size: Size) -> list[Observation]:
    """To be predicted: the crowd of the reconnect, before it goes."""
    return _crowd(scratch, 1, size.back, in_channel)


def coming_back(scratch: Path, size: Size) -> list[Observation]:
    """To be predicted: the same, gone at once and back with positions."""
    return _crowd(scratch, 1, size.back, in_channel, goes=True, returns=True)


def _crowd(
    scratch: Path,
    nodes: int,
    count: int,
    channels: Channels,
    *,
    holds: bool = False,
    goes: bool = False,
    returns: bool = False,
) -> list[Observation]:
    """One crowd at a young system, and what it holds at rest: of one that goes, or returns too, at its end alone.

    What those who return take is what those who went gave back: their positions are not counted beside it.
    """
    numbers = range(FIRST, FIRST + count)
    with started(scratch, nodes) as system, ExitStack() as few:
        meter = Meter(system, PING_SECONDS)
        warm_up(meter, system, few, scratch)
        held = leave_behind(system, numbers, CHANNEL) if holds else nothing
        young, counts = meter.memory_at_rest(), {Unit.GROW: float(len(system.gateways))}
        with come(system, Visitors(FIRST, count, channels, held), scratch, counts):
            taken = meter.memory_at_rest() - young
        if goes:
            counts[Unit.LEAVE] = count
            taken = meter.memory_at_rest() - young
        if returns:
            taken = _return(meter, system, Visitors(FIRST, count, channels), scratch) - young
    return [resident("at rest", counts, taken)]


def _return(meter: Meter, system: System, back: Visitors, scratch: Path) -> float:
    """Those who went come back with positions; resident bytes then."""
    held = leave_behind(system, range(back.first, back.first + back.count), CHANNEL)
    with come(system, Visitors(back.first, back.count, back.channels, held), scratch, {}):
        return meter.memory_at_rest()


def _at(nodes: int) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    for times in TIMES:
        for what in (none, shared, own):
            runs[f"{what.__name__}, {times}"] = partial(arriving, nodes=nodes, times=times, channels=what)
        runs[f"resuming, {times}"] = partial(resuming, nodes=nodes, times=times)
        runs[f"leaving, {times}"] = partial(leaving, nodes=nodes, times=times)
    return runs


FITTED: Mapping[str, Runs] = {EMBEDDED: _at(0), OVER_REDIS: _at(1)}
PREDICTED: Mapping[str, Runs] = {
    OVER_REDIS: {"mixed": mixing, "reconnect: come": coming_in, "reconnect: back": coming_back},
}
