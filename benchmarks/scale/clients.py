"""How clients come back: the back-off of each that speaks to a gateway, as its code has it.

Pure functions of an attempt and a chance. `tests/vectors/backoff.json` holds the browser client's to its TypeScript.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor

from messageflow.core.backoff import pause_after

FIRST_MS, LONGEST_MS = 500, 20_000  # of all of them, as shipped
MOST_STEPS = 31  # doublings an official SDK counts

Wait = Callable[[int, float, int], float]  # attempt from 0, chance from 0 to 1, longest milliseconds: seconds


def browser(attempt: int, chance: float, longest: int = LONGEST_MS) -> float:
    """Seconds that our browser client waits: full jitter, `backoff` of client/src/backoff.ts."""
    return floor(chance * min(longest, FIRST_MS * 2.0 ** min(attempt, MOST_STEPS))) / 1000


def official(attempt: int, chance: float, longest: int = LONGEST_MS) -> float:
    """Seconds that an official SDK waits: half a second, and full jitter beyond it, up to the limit."""
    jitter = floor(chance * min(longest, FIRST_MS * 2.0 ** min(attempt, MOST_STEPS)))
    return min(longest, FIRST_MS + jitter) / 1000


def program(attempt: int, chance: float, longest: int = LONGEST_MS) -> float:
    """Seconds that a program of ours waits, such as `messageflow listen`: the rule of all retries but the browser's."""
    return pause_after(attempt + 1, FIRST_MS / 1000, longest / 1000, chance)


@dataclass(frozen=True, slots=True)
class Client:
    """A kind of client.

    Args:
        name: what it is called.
        wait: how long it waits.
        patience: seconds after which it gives an attempt up that nothing was heard of.
        reads_retry_after: whether it can see the answer that refuses it. A browser shows none to a page.
    """

    name: str
    wait: Wait
    patience: float = 5.0
    reads_retry_after: bool = False


BROWSER = Client("our browser client", browser)
OFFICIAL = Client("official SDK", official)
PROGRAM = Client("program that reads Retry-After", program, reads_retry_after=True)
CLIENTS = (BROWSER, OFFICIAL, PROGRAM)
