"""From measurements to costs: least squares of relative errors, no cost below nothing.

Pure arithmetic. It never measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.scale.model import Counts, Resource, Unit, Usage, takers

SWEEPS = 20_000
SMALLEST_CHANGE = 1e-9  # of a scaled cost, in one sweep


@dataclass(frozen=True, slots=True)
class Observation:
    """One phase of a measured run.

    Args:
        name: of the phase, the same in every round.
        counts: the work that was done.
        usage: what it took. A resource that is not named was not measured.
    """

    name: str
    counts: Counts
    usage: Usage


def fit(observations: Sequence[Observation], known: Counts | None = None) -> dict[Resource, dict[Unit, float]]:
    """Return the costs that explain the observations best, of each resource that was measured.

    Args:
        observations: what was measured.
        known: CPU of units that is known from elsewhere, where these observations cannot tell it from others.
    """
    costs = {}
    for resource in Resource:
        given = known or {} if resource is Resource.CPU else {}
        rows = [each for each in observations if resource in each.usage]
        used = [each.usage[resource] - sum(given.get(u, 0.0) * n for u, n in each.counts.items()) for each in rows]
        told = [(each.counts, left) for each, left in zip(rows, used, strict=True) if left > 0]
        if told:
            units = [unit for unit in takers(resource) if unit not in given]
            costs[resource] = {**fit_one([row for row, _ in told], [left for _, left in told], units), **given}
    return costs


def fit_one(rows: Sequence[Counts], used: Sequence[float], units: Sequence[Unit]) -> dict[Unit, float]:
    """Return the cost of each unit that makes the sum of squared relative errors least; none is negative.

    Coordinate descent: with costs that may not be negative, each coordinate has its best value in closed form. Units
    that no row counts have no cost.

    Args:
        rows: the work of each observation.
        used: what each took, above 0.
        units: the kinds of work that can have a cost.
    """
    columns = {
        unit: column
        for unit in units
        if any(column := [row.get(unit, 0.0) / value for row, value in zip(rows, used, strict=True)])
    }
    scale = {unit: max(column) for unit, column in columns.items()}
    scaled = {unit: [value / scale[unit] for value in column] for unit, column in columns.items()}
    squares = {unit: sum(value * value for value in column) for unit, column in scaled.items()}
    costs = dict.fromkeys(scaled, 0.0)
    left = [1.0] * len(rows)
    for _ in range(SWEEPS):
        moved = 0.0
        for unit, column in scaled.items():
            best = max(0.0, costs[unit] + sum(a * b for a, b in zip(column, left, strict=True)) / squares[unit])
            change, costs[unit] = best - costs[unit], best
            if change:
                left = [rest - change * value for rest, value in zip(left, column, strict=True)]
                moved = max(moved, abs(change))
        if moved < SMALLEST_CHANGE:
            break
    return {unit: cost / scale[unit] for unit, cost in costs.items()}


def middle(rounds: Sequence[Sequence[Observation]]) -> list[Observation]:
    """Return one observation a phase: the median of its rounds, of the work and of what it took.

    Raises:
        ValueError: the rounds do not have the same phases.
    """
    return [_median_of(phase) for phase in zip(*rounds, strict=True)]


def _median_of(phase: Sequence[Observation]) -> Observation:
    names = {each.name for each in phase}
    if len(names) != 1:
        raise ValueError(f"rounds differ: {', '.join(sorted(names))}")
    return Observation(
        phase[0].name,
        {unit: median(each.counts[unit] for each in phase) for unit in phase[0].counts},
        {resource: median(each.usage[resource] for each in phase) for resource in phase[0].usage},
    )


def error_of(predicted: float, measured: float) -> float:
    """Return by how much of what was measured a prediction is off."""
    return predicted / measured - 1
