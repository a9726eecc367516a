"""`python -m benchmarks [names] [--short | --full]`: runs the benchmarks and says what they found.

`--against COMMIT` measures this checkout beside another commit of it instead.

Exit status: 0 when all could run, 1 when one could not, 2 with --check when a target is missed.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, report
from benchmarks.crowd import CrowdFailed
from benchmarks.figures import Outcome
from benchmarks.pages import PagesFailed
from benchmarks.plan import Plan
from benchmarks.publishing import PublishFailed
from benchmarks.pushing import BackendFailed
from benchmarks.servers.base import ServerFailed
from benchmarks.servers.commit import at_commit
from benchmarks.suite import BENCHMARKS, Benchmark, against, named
from benchmarks.tools import Unavailable
from messageflow.errors import MessageflowError

FAILURES = (
    Unavailable,
    ServerFailed,
    CrowdFailed,
    PagesFailed,
    PublishFailed,
    BackendFailed,
    MessageflowError,
    subprocess.SubprocessError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    try:
        names = [] if options.against else named(options.names)
    except KeyError as error:
        parser().error(f"no such benchmark: {error.args[0]}; there are {', '.join(BENCHMARKS)}")
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = shlex.join(["python", "-m", "benchmarks", *given])
    facts = machine.describe()
    print(command, *(f"{name:<12} {value}" for name, value in facts.items()), sep="\n", end="\n\n")

    with tempfile.TemporaryDirectory(prefix="messageflow-bench-") as scratch:
        plan = Plan(full=options.full, scratch=Path(scratch), say=lambda line: print(line, flush=True))
        outcomes = [measure(name, BENCHMARKS[name], plan) for name in names]
        if options.against:
            outcomes.append(measure(f"against {options.against}", beside(options.against), plan))

    print("\n" + report.terminal(outcomes))
    if options.json:
        options.json.write_bytes(report.as_json(outcomes, facts, command))
    if options.markdown:
        options.markdown.write_text(report.markdown(outcomes, facts, command))
    return status(outcomes, check=options.check)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help=f"which to run, all by default: {', '.join(BENCHMARKS)}; redis for all over Redis",
    )
    made.add_argument("--against", metavar="COMMIT", help="measure beside this commit instead")
    form = made.add_mutually_exclusive_group()
    form.add_argument("--short", action="store_true", help="a few minutes: do the targets hold? (the default)")
    form.add_argument("--full", action="store_true", help="more rounds and longer ones, for figures to publish")
    made.add_argument("--check", action="store_true", help="exit with 2 when a target is missed")
    made.add_argument("--json", type=Path, metavar="FILE", help="write everything, samples included")
    made.add_argument("--markdown", type=Path, metavar="FILE", help="write the table of the README")
    return made


def beside(commit: str) -> Benchmark:
    """The benchmark of today beside a commit."""
    return Benchmark(against.METHOD, lambda plan: against.run(plan, at_commit(commit, plan.scratch), commit))


def measure(name: str, benchmark: Benchmark, plan: Plan) -> Outcome:
    """Run one benchmark; one that cannot run takes no other with it."""
    plan.say(f"{name}: {benchmark.method}")
    started = time.monotonic()
    try:
        figures = tuple(benchmark.run(plan))
    except FAILURES as error:
        plan.say(f"  failed: {error}")
        return Outcome(name, benchmark.method, time.monotonic() - started, failure=str(error))
    return Outcome(name, benchmark.method, time.monotonic() - started, figures)


def status(outcomes: Sequence[Outcome], *, check: bool) -> int:
    """The exit status for what was found."""
    if any(outcome.failure for outcome in outcomes):
        return 1
    missed = any(not figure.held for outcome in outcomes for figure in outcome.figures)
    return 2 if check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
