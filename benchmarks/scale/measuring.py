"""Fits the costs and checks them, in one run: rounds of all measured runs, medians, a fit, and what it predicts.

Owns the order of the runs. What they are is in `experiments`, and those of memory, which can be measured anew alone, in
`memory_runs`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from benchmarks import machine
from benchmarks.crowd import CrowdFailed
from benchmarks.scale import experiments, memory_runs
from benchmarks.scale.experiments import EMBEDDED, OVER_REDIS, Run, Runs, Size
from benchmarks.scale.fitting import Observation, error_of, fit, middle
from benchmarks.scale.model import Costs, Counts, Resource, Unit, predict
from benchmarks.scale.records import Check, Measured, MemoryMeasured
from benchmarks.servers.base import ServerFailed

CHECKED = (Resource.CPU, Resource.MEMORY, Resource.REDIS_CPU, Resource.REDIS_COMMANDS, Resource.REDIS_OUT)
TELLS_ALIKE = (Unit.PING, Unit.REFUSE)  # what costs a gateway the same with any broker, and is told apart without Redis
TRIES = 3
FACTS = ("cpu", "system", "python", "redis")
Say = Callable[[str], None]
Phases = dict[str, list[list[Observation]]]  # of each run, by round
AllRuns = Mapping[str, Runs]  # by set-up
Plan = tuple[AllRuns, AllRuns]  # what is fitted to, and what is to be predicted
WORK: Plan = (experiments.FITTED, experiments.PREDICTED)
MEMORY: Plan = (memory_runs.FITTED, memory_runs.PREDICTED)


def measure(size: Size, rounds: int, scratch: Path, say: Say) -> Measured:
    """Measure, fit and check.

    Args:
        size: of the runs.
        rounds: to take the medians of.
        scratch: a directory for the servers' files.
        say: takes a line about progress.
    """
    began = os.getloadavg()[0]
    fitted, predicted = run_all(WORK, size, rounds, scratch, say)
    costs: dict[str, Costs] = {}
    known: Counts = {}
    for setup in (EMBEDDED, OVER_REDIS):
        observations = [each for runs in fitted[setup].values() for each in middle(runs)]
        costs[setup] = fit(observations, known)
        known = {unit: costs[EMBEDDED][Resource.CPU].get(unit, 0.0) for unit in TELLS_ALIKE}
    for setup, runs in predicted.items():
        for name, phases in runs.items():
            for phase in middle(phases):
                for check in check_run(setup, f"{name}: {phase.name}", costs[setup], [phase]):
                    say(shown(check))
    work = Measured(
        when=time.strftime("%Y-%m-%d"),
        machine={name: value for name, value in machine.describe().items() if name in FACTS},
        load=since(began),
        rounds=rounds,
        costs={setup: plain(each) for setup, each in costs.items()},
        checks=check_all(predicted, costs),
    )
    return measure_memory(work, size, rounds, scratch, say)


def measure_memory(work: Measured, size: Size, rounds: int, scratch: Path, say: Say) -> Measured:
    """Measure, fit and check memory of gateways alone, and return it with all else as it was measured before.

    Arguments as of `measure`.
    """
    began = os.getloadavg()[0]
    fitted, predicted = run_all(MEMORY, size, rounds, scratch, say)
    costs: dict[str, Costs] = {
        setup: fit([each for runs in found.values() for each in middle(runs)]) for setup, found in fitted.items()
    }
    memory = MemoryMeasured(time.strftime("%Y-%m-%d"), since(began), rounds)
    return with_memory(work, memory, costs, check_all(predicted, costs))


def with_memory(work: Measured, memory: MemoryMeasured, costs: Mapping[str, Costs], checks: list[Check]) -> Measured:
    """Return a measurement whose costs and checks of memory are these, and whose others are as they were."""
    every = {setup: {**each, **plain(costs.get(setup, {}))} for setup, each in work.costs.items()}
    others = [check for check in work.checks if check.resource != Resource.MEMORY]
    return replace(work, memory=memory, costs=every, checks=others + checks)


def since(began: float) -> str:
    """The load of the machine before, and now."""
    return f"{began:.1f} before, {os.getloadavg()[0]:.1f} after"


def check_all(predicted: Mapping[str, Phases], costs: Mapping[str, Costs]) -> list[Check]:
    """Predict all runs."""
    return [
        check
        for setup, runs in predicted.items()
        for name, phases in runs.items()
        for check in check_run(setup, name, costs[setup], middle(phases))
    ]


def run_all(
    plan: Plan, size: Size, rounds: int, scratch: Path, say: Say
) -> tuple[Mapping[str, Phases], Mapping[str, Phases]]:
    """Run everything in rounds; what is fitted to, and what is to be predicted, by set-up and run."""
    found: tuple[dict[str, Phases], dict[str, Phases]] = ({}, {})
    for number in range(1, rounds + 1):
        for setups, kept in zip(plan, found, strict=True):
            for setup, runs in setups.items():
                for name, run in runs.items():
                    began = time.monotonic()
                    phases = run_to_its_end(run, scratch, size, say)
                    kept.setdefault(setup, {}).setdefault(name, []).append(phases)
                    say(f"  round {number}, {setup}, {name}: {time.monotonic() - began:.0f} s")
    return found


def run_to_its_end(run: Run, scratch: Path, size: Size, say: Say) -> list[Observation]:
    """Run one, and again when a neighbour of the machine kept it from its end: a whole measurement hangs on it.

    Raises:
        ServerFailed: a server did not start, the last time either.
        CrowdFailed: a subscriber was cut off, the last time either.
    """
    for _ in range(TRIES - 1):
        try:
            return run(scratch, size)
        except (ServerFailed, CrowdFailed) as error:
            say(f"  again, since {error}")
    return run(scratch, size)


def check_run(setup: str, name: str, costs: Costs, phases: Sequence[Observation]) -> list[Check]:
    """Predict a run and put beside it what was measured: all its phases together."""
    checks = []
    for resource in CHECKED:
        measured = [each for each in phases if resource in each.usage]
        used = sum(each.usage[resource] for each in measured)
        if used > 0:
            told = sum(predict(costs, each.counts)[resource] for each in measured)
            checks.append(Check(setup, name, resource.value, told, used))
    return checks


def plain(costs: Costs) -> dict[str, dict[str, float]]:
    """Costs as they are committed: four digits are more than was measured."""
    return {
        resource.value: {unit.value: float(f"{cost:.4g}") for unit, cost in each.items()}
        for resource, each in costs.items()
    }


def shown(check: Check) -> str:
    """A check in a line."""
    off = error_of(check.predicted, check.measured)
    return (
        f"{check.setup:<9} {check.run:<18} {check.resource:<15} "
        f"{check.predicted:>14,.0f} {check.measured:>14,.0f} {off:>+7.0%}"
    )
