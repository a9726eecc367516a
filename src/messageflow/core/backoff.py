"""How long to wait before something that failed is tried again: longer with each failure, up to a limit, never in step.

Owns the rule of every retry on the server's side and of the publisher; never waits itself, and draws no chance of its
own. Half of each pause is left to chance: those who lost the same thing at the same moment come back spread over it,
and none of them at once.
"""

from __future__ import annotations

from collections.abc import Callable

MOST_DOUBLINGS = 30  # beyond any sensible limit, and far below what a float can hold


def pause_after(failures: int, first: float, longest: float, chance: float) -> float:
    """Return the seconds to wait after so many failures in a row.

    Args:
        failures: 1 after the first.
        first: seconds after the first failure, at most; each further one doubles it.
        longest: seconds, at most.
        chance: from 0 to 1; half of the pause is left to it.
    """
    most = min(longest, first * 2.0 ** min(failures - 1, MOST_DOUBLINGS))
    return most * (1 + chance) / 2


class Backoff:
    """The pauses of one thing that is tried again until it succeeds.

    Args:
        first: seconds after the first failure, at most; each further one doubles it.
        longest: seconds, at most.
        chance: returns a number from 0 to 1, another with each call.

    Attributes:
        failures: in a row, so far.
    """

    __slots__ = ("_chance", "_first", "_longest", "failures")

    def __init__(self, first: float, longest: float, chance: Callable[[], float]) -> None:
        self._first = first
        self._longest = longest
        self._chance = chance
        self.failures = 0

    def fail(self) -> float:
        """Count a failure. Returns the seconds to wait before the next attempt."""
        self.failures += 1
        return pause_after(self.failures, self._first, self._longest, self._chance())

    def reset(self) -> None:
        """It succeeded: the next pause is short again."""
        self.failures = 0
