"""`python -m benchmarks.scale fit | storm | page | ask`: costs, storms, docs/scale.md, and what a site needs.

fit     measure, fit, predict, and write costs.json; --short for a look that is not written, --memory for the memory of
        gateways alone: all else stays as it was measured
storm   simulate, and write storms.json; --short for a tenth of the clients, not written
page    fill the tables of docs/scale.md from both files
ask     what a site needs: --connections, --channels, --channels-each, --pushes, --publications, --broadcasts
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.scale import records
from benchmarks.scale.experiments import FULL, OVER_REDIS, SHORT
from benchmarks.scale.measuring import measure, measure_memory, shown
from benchmarks.scale.page import fill
from benchmarks.scale.site import Site, needs_of
from benchmarks.scale.storms import storms_of

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
ROUNDS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; the exit status."""
    options = parser().parse_args(arguments)
    {"fit": fit, "storm": storm, "page": page, "ask": ask}[options.command](options)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("command", choices=("fit", "storm", "page", "ask"))
    made.add_argument("--short", action="store_true", help="smaller, and nothing is written")
    made.add_argument("--memory", action="store_true", help="fit the memory of gateways alone")
    made.add_argument("--rounds", type=int, default=ROUNDS, help="of fit (%(default)s)")
    made.add_argument("--connections", type=int, default=1_000_000)
    made.add_argument("--channels", type=int, default=100_000)
    made.add_argument("--channels-each", type=int, default=2)
    made.add_argument("--pushes", type=float, default=2_000, help="a second")
    made.add_argument("--publications", type=float, default=5_000, help="a second")
    made.add_argument("--broadcasts", type=float, default=0.1, help="a second")
    return made


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def fit(options: argparse.Namespace) -> None:
    """Measure, and write what was found."""
    with tempfile.TemporaryDirectory(prefix="messageflow-scale-") as scratch:
        how = (SHORT if options.short else FULL, options.rounds, Path(scratch), say)
        measured = measure_memory(records.read_costs(), *how) if options.memory else measure(*how)
    for setup, costs in measured.costs.items():
        for resource, each in costs.items():
            say(f"{setup} {resource}: " + ", ".join(f"{unit} {cost:g}" for unit, cost in each.items()))
    for check in measured.checks:
        say(shown(check))
    if not options.short:
        records.write(measured, records.COSTS_FILE)


def storm(options: argparse.Namespace) -> None:
    """Simulate, and write what came of it."""
    found = storms_of(records.read_costs(), short=options.short, say=say)
    if not options.short:
        records.write(found, records.STORMS_FILE)


def page(_: argparse.Namespace) -> None:
    """Fill the page."""
    PAGE.write_text(fill(PAGE.read_text(), records.read_costs(), records.read_storms()))


def ask(options: argparse.Namespace) -> None:
    """Say what a site needs."""
    site = Site(
        options.connections,
        options.channels,
        options.channels_each,
        options.pushes,
        options.publications,
        options.broadcasts,
    )
    for name, value in asdict(needs_of(site, records.read_costs().costs_of(OVER_REDIS))).items():
        say(f"{name:<15} {value:,.3f}" if isinstance(value, float) else f"{name:<15} {value:,}")


if __name__ == "__main__":
    sys.exit(main())
