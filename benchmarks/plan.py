"""How a run is made: its form, its scratch directory, its servers, and rounds that take turns.

Other processes and the clock of the processor disturb whatever runs at the moment. Rounds therefore alternate
(ours, theirs, ours, theirs, …), each with fresh processes, and figures are medians over rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, Unpack

from benchmarks.crowd import Crowd, Manner, crowd
from benchmarks.servers.base import Running, Server, running
from benchmarks.servers.gateway import gateway
from benchmarks.servers.nchan import nchan

T = TypeVar("T")
MakeServer = Callable[[Path], Server]


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the benchmarks.

    Args:
        full: the long form, for figures to publish; else the short one, for seeing that they hold.
        scratch: a directory that is removed after the run.
        ours: makes our gateway.
        peer: makes the peer.
        say: takes a line about progress.
    """

    full: bool
    scratch: Path
    ours: MakeServer = gateway
    peer: MakeServer = nchan
    say: Callable[[str], None] = print

    def of(self, *, short: T, full: T) -> T:
        """The value for this run's form."""
        return full if self.full else short

    @property
    def rounds(self) -> int:
        """How many rounds to take the median of."""
        return self.of(short=3, full=5)

    @property
    def long_rounds(self) -> int:
        """How many of those rounds that take half a minute each."""
        return self.of(short=1, full=3)

    def alternate(self, rounds: int | None = None, /, **sides: Callable[[], T]) -> list[tuple[T, ...]]:
        """Run the sides in turns, all rounds of them; for each side, in the order given, its results."""
        results: dict[str, list[T]] = {name: [] for name in sides}
        for number in range(1, (rounds or self.rounds) + 1):
            for name, side in sides.items():
                result = side()
                results[name].append(result)
                self.say(f"  round {number}, {name}: {shown(result)}")
        return [tuple(one) for one in results.values()]

    @contextmanager
    def subscribed(
        self, make: MakeServer, connections: int, **manner: Unpack[Manner]
    ) -> Iterator[tuple[Running, Crowd]]:
        """A fresh server with a crowd that has subscribed to it; see `crowd` for the arguments."""
        server = make(self.scratch)
        with (
            running(server, self.scratch) as process,
            crowd(server, connections, self.scratch, **manner) as subscribers,
        ):
            yield process, subscribers


def shown(result: object) -> str:
    """A result in a line of progress."""
    return f"{result:.4g}" if isinstance(result, float) else str(result)
