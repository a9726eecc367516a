"""What a check finds: violations by name with examples, figures, and the sentence that comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "lost",
    "duplicate",
    "reordered",
    "phantom",
    "leak",
    "divergent",
    "silent gap",
    "stuck",
    "thrown out",
    "disconnected",
    "bad reset",
    "corrupt",
    "fault not fired",
    "memory over budget",
    "misbehaved",
    "too little",
]

EXAMPLES = 10


@dataclass(slots=True)
class Findings:
    """The violations, counted, with the first examples of each; and the figures."""

    counts: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, list[str]] = field(default_factory=dict)
    figures: Counter[str] = field(default_factory=Counter)

    def add(self, kind: Kind, text: str) -> None:
        """Note a violation."""
        self.counts[kind] += 1
        if self.counts[kind] <= EXAMPLES:
            self.examples.setdefault(kind, []).append(text)

    def count(self, figure: str, amount: int = 1) -> None:
        """Add to a figure."""
        self.figures[figure] += amount


@dataclass(frozen=True, slots=True)
class Expectations:
    """What a run must hold beside the promises that always hold.

    Args:
        kinds: the kinds of fault that must have fired.
        minimum: the least value of figures, so that no run passes empty.
        memory_budget: bytes a process of the gateway may hold; 0 does not look.
        history_size: publications a channel keeps; a reader that missed no more must recover.
        epochs_kept: whether a stream must live on over every fault of the run, so that a new epoch is a violation.
        epochs_most: how many epochs a stream may have over the whole run; 0 does not count them.
        tails_lost: whether streams may lose their end and give its offsets out again, if all who stood there are told.
        witnesses_lost: whether a gateway that acknowledged what is lost so may have died, so that nobody can tell.
        connections_kept: whether no reader may lose its connection before all is healed.
        hooks: who handles what is told: "process" the gateways, "webhook" an application elsewhere, "" nobody.
        survivors: whether other nodes live on when a gateway is killed, and tell of the ends of its connections.
        bad_resets_allowed: how many resets may happen although the history covered what was missed; None only counts.
    """

    kinds: frozenset[str] = frozenset()
    minimum: Mapping[str, int] = field(default_factory=dict)
    memory_budget: int = 0
    history_size: int = 10_000
    epochs_kept: bool = False
    epochs_most: int = 0
    tails_lost: bool = False
    witnesses_lost: bool = False
    connections_kept: bool = False
    hooks: Literal["", "process", "webhook"] = ""
    survivors: bool = False
    bad_resets_allowed: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome: good when nothing was found."""

    findings: Mapping[Kind, int]
    examples: Mapping[Kind, list[str]]
    figures: Counter[str]

    @property
    def good(self) -> bool:
        return not self.findings

    def text(self) -> str:
        """Return it for people, one line a figure and one an example."""
        lines = [f"  {name}: {value:,}" for name, value in sorted(self.figures.items())]
        for kind, number in self.findings.items():
            lines.append(f"  VIOLATION {kind}: {number:,}")
            lines += [f"    {example}" for example in self.examples[kind]]
        lines.append("verdict: " + ("good" if self.good else "BAD: " + ", ".join(self.findings)))
        return "\n".join(lines)
