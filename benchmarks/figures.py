"""What a benchmark states: figures of ours beside a peer's, and the targets they are held to.

Pure values and arithmetic. It never measures, prints or reads a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class Limit(StrEnum):
    """Which side of a target's bound is the good one."""

    AT_MOST = "≤"
    AT_LEAST = "≥"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on our own figure, or on its ratio to the peer's."""

    limit: Limit
    bound: float
    of_ratio: bool = False

    def held_by(self, value: float) -> bool:
        """Whether a measured value is on the good side of the bound (the bound itself is)."""
        return value <= self.bound if self.limit is Limit.AT_MOST else value >= self.bound


def at_most(bound: float) -> Target:
    """Our figure may be this at most."""
    return Target(Limit.AT_MOST, bound)


def at_least(bound: float) -> Target:
    """Our figure has to be this at least."""
    return Target(Limit.AT_LEAST, bound)


def at_most_times_peer(bound: float) -> Target:
    """Our figure may be this many times the peer's at most."""
    return Target(Limit.AT_MOST, bound, of_ratio=True)


def at_least_times_peer(bound: float) -> Target:
    """Our figure has to be this many times the peer's at least."""
    return Target(Limit.AT_LEAST, bound, of_ratio=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: a sample a round of ours, and of the peer's in the same rounds.

    A figure without targets is there to be seen beside the others. One without peer samples stands alone; where there
    is a peer that could not be measured, `missing` says why.
    """

    what: str
    unit: str
    ours: tuple[float, ...]
    peer: str = ""
    theirs: tuple[float, ...] = ()
    targets: tuple[Target, ...] = ()
    missing: str = ""

    @property
    def our_median(self) -> float:
        """The median of our samples."""
        return median(self.ours)

    @property
    def peer_median(self) -> float | None:
        """The median of the peer's samples, if there is a peer."""
        return median(self.theirs) if self.theirs else None

    @property
    def ratio(self) -> float | None:
        """The median over the rounds of ours ÷ theirs: what disturbs a whole round falls out of its ratio.

        None without a peer, or beside one that has nothing.
        """
        if not self.theirs or not all(self.theirs):
            return None
        return median(our / their for our, their in zip(self.ours, self.theirs, strict=True))

    def holds(self, target: Target) -> bool:
        """Whether this figure keeps one of its targets; a ratio that could not be taken keeps none."""
        value = self.ratio if target.of_ratio else self.our_median
        return value is not None and target.held_by(value)

    @property
    def held(self) -> bool:
        """Whether this figure keeps all of its targets."""
        return all(self.holds(target) for target in self.targets)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one benchmark found, or the reason it could not run."""

    benchmark: str
    method: str
    seconds: float
    figures: tuple[Figure, ...] = ()
    failure: str = ""
