"""What a run found, as a table for a terminal, as Markdown for the README, and as JSON for machines.

Pure: outcomes in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from benchmarks.figures import Figure, Outcome, Target

HEAD = ("what", "ours", "peer", "ratio", "target", "")


def number(value: float) -> str:
    """Three significant digits, and thousands set apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if value >= 0.995 else f"{value:.2g}"


def target_text(target: Target, figure: Figure) -> str:
    """A target in words: `≤ 1.4 × Nchan`, `≤ 250 µs`."""
    if target.of_ratio:
        return f"{target.limit} {target.bound:g} × {figure.peer}"
    return f"{target.limit} {target.bound:,.6g} {figure.unit}"


def row(figure: Figure) -> tuple[str, ...]:
    """One figure as the cells of HEAD."""
    ratio = figure.ratio
    return (
        figure.what,
        f"{number(figure.our_median)} {figure.unit}",
        peer_cell(figure),
        "–" if ratio is None else f"{number(ratio)} ×",
        ", ".join(target_text(target, figure) for target in figure.targets) or "–",
        verdict(figure),
    )


def peer_cell(figure: Figure) -> str:
    """The peer's figure, why there is none, or a dash where there is no peer."""
    if figure.missing:
        return f"not measured ({figure.peer}: {figure.missing})"
    theirs = figure.peer_median
    return "–" if theirs is None else f"{number(theirs)} {figure.unit} ({figure.peer})"


def verdict(figure: Figure) -> str:
    """`held`, or what is not; nothing for a figure without a target."""
    if not figure.targets:
        return ""
    missed = [target_text(target, figure) for target in figure.targets if not figure.holds(target)]
    if not missed:
        return "held"
    return "NOT held" if len(missed) == len(figure.targets) else f"NOT held: {', '.join(missed)}"


def terminal(outcomes: Sequence[Outcome]) -> str:
    """A table with aligned columns, and the failures below it."""
    rows = [HEAD, *(row(figure) for outcome in outcomes for figure in outcome.figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(one, widths, strict=True)).rstrip() for one in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    lines += [f"{outcome.benchmark} could not run: {outcome.failure}" for outcome in outcomes if outcome.failure]
    return "\n".join(lines)


def markdown(outcomes: Iterable[Outcome], facts: Mapping[str, str], command: str) -> str:
    """The table for the README, with the machine and the command that made it."""
    head = HEAD[:-1]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for outcome in outcomes:
        for figure in outcome.figures:
            cells = row(figure)
            told = cells[-2] if cells[-1] in ("", "held") else f"{cells[-2]} (**{cells[-1]}**)"
            lines.append(f"| {' | '.join((*cells[:-2], told))} |")
    machine = "; ".join(f"{name} {value}" for name, value in facts.items())
    return "\n".join([*lines, "", f"Made by `{command}` on: {machine}.", ""])


def as_json(outcomes: Iterable[Outcome], facts: Mapping[str, str], command: str) -> bytes:
    """Everything, samples included."""
    document: dict[str, Any] = {
        "command": command,
        "machine": dict(facts),
        "benchmarks": [
            {
                "name": outcome.benchmark,
                "method": outcome.method,
                "seconds": round(outcome.seconds, 1),
                "failure": outcome.failure or None,
                "figures": [_figure(figure) for figure in outcome.figures],
            }
            for outcome in outcomes
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "what": figure.what,
        "unit": figure.unit,
        "ours": figure.our_median,
        "our_samples": figure.ours,
        "peer": figure.peer or None,
        "missing": figure.missing or None,
        "theirs": figure.peer_median,
        "peer_samples": figure.theirs,
        "ratio": figure.ratio,
        "targets": [{"target": target_text(target, figure), "held": figure.holds(target)} for target in figure.targets],
    }
