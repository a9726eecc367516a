"""The fault campaign from the command line.

    python -m tests.faults                      the short form: every kind of fault, in a few minutes
    python -m tests.faults --long               the long form: the same for hours, with ever new seeds
    python -m tests.faults --judge FILE         only judge a history again
    python -m tests.faults --seed 7 --seconds 60 --workers 2 --kinds processes,cut
    python -m tests.faults --seed 7 --seconds 20 --workers 2 --kinds visitors --code HEAD~20
    python -m tests.faults --seed 7 --seconds 60 --broker redis --nodes 2 --kinds redis,processes
    python -m tests.faults --seed 7 --seconds 60 --broker redis-cluster --nodes 2 --kinds cluster,processes

It ends with 1 when a verdict is bad.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.servers.commit import sources_at
from tests.faults.campaign import run
from tests.faults.checker import check
from tests.faults.history import FaultStart, read_history
from tests.faults.options import CLUSTERED, LOST_TAILS, UNSYNCED, Options, hindrance, possible
from tests.faults.outcome import Outcome
from tests.faults.schedule import (
    APPLICATION,
    CLUSTER,
    KINDS,
    NETWORK,
    PROCESSES,
    REDIS,
    REDIS_KEEPS,
    REDIS_LINKS,
    REDIS_LOSES,
    STORAGE,
    VISITORS,
    WORKER_LINKS,
    WORKERS,
)
from tests.faults.verdicts import EXAMPLES, Expectations

GROUPS: dict[str, tuple[str, ...]] = {
    "network": NETWORK,
    "processes": PROCESSES,
    "workers": WORKERS,
    "links": WORKER_LINKS,
    "storage": STORAGE,
    "visitors": VISITORS,
    "application": APPLICATION,
    "redis": REDIS,
    "cluster": CLUSTER,
    "all": tuple(KINDS),
}

SHORT = (
    Options(seed=1, seconds=36, kinds=NETWORK),
    Options(seed=2, seconds=30, kinds=(*PROCESSES, "cut", "publisher_answer_lost", "publisher_kill"), hooks="process"),
    Options(seed=3, seconds=45, kinds=(*WORKERS, "gateway_kill", *NETWORK, *APPLICATION), workers=2, hooks="webhook"),
    Options(
        seed=4,
        seconds=36,
        kinds=(*PROCESSES, *WORKERS, "cut", "slow_reader", "storm"),
        workers=2,
        ack="disk",
        hooks="process",
    ),
    Options(seed=5, seconds=26, kinds=(*STORAGE, "gateway_kill", "clock_step", "publisher_answer_lost"), ack="disk"),
    Options(seed=6, seconds=12, kinds=("cut", "gateway_kill", "publisher_cut"), broker="memory"),
    Options(seed=7, seconds=32, kinds=REDIS_KEEPS, broker="redis", nodes=2, ack="disk", direct=1, hooks="process"),
    Options(
        seed=8, seconds=24, kinds=(*REDIS_LOSES, "redis_kill", "cut"), broker="redis", nodes=2, ack="disk", direct=1
    ),
    Options(
        seed=9,
        seconds=30,
        kinds=(*PROCESSES, *NETWORK, *REDIS_LINKS, *APPLICATION),
        broker="redis",
        nodes=3,
        ack="disk",
        direct=1,
        hooks="webhook",
    ),
    Options(seed=10, seconds=40, kinds=(*CLUSTER, "cut"), broker=CLUSTERED, nodes=2, ack="disk", direct=1),
    Options(seed=11, seconds=12, kinds=VISITORS),
    Options(seed=12, seconds=20, kinds=(*VISITORS, "worker_kill", "cut"), workers=2),
    Options(seed=13, seconds=8, kinds=VISITORS, broker="memory", workers=2),
    Options(seed=14, seconds=16, kinds=(*VISITORS, "redis_client_kill"), broker="redis", nodes=2, ack="disk", direct=1),
    Options(seed=15, seconds=12, kinds=("redis_rolled_back",), broker="redis", nodes=2),
    Options(seed=16, seconds=8, kinds=("directory_gone",)),
    Options(seed=17, seconds=8, kinds=("directory_gone",), workers=2),
    Options(seed=18, seconds=45, kinds=(*WORKER_LINKS, "slow_reader", "cut"), workers=2, hooks="process"),
    Options(seed=19, seconds=26, kinds=(*STORAGE, "link_cut", "publisher_answer_lost"), workers=2, ack="disk"),
)
"""The runs of the short form: together every kind of fault, in about twelve minutes."""

LONG_SECONDS = 150.0
LONG_ROUNDS = 20


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for; return the exit code."""
    asked = _parser().parse_args(arguments)
    if asked.judge is not None:
        events = read_history([asked.judge])
        done = {event.kind for event in events if isinstance(event, FaultStart)}
        verdict = check(events, Expectations(tails_lost=bool(done & (LOST_TAILS | UNSYNCED))))
        say(verdict.text())
        return 0 if verdict.good else 1
    with tempfile.TemporaryDirectory(prefix="faults-code-") as place:
        code = sources_at(asked.code, Path(place)) if asked.code is not None else None
        return _campaign(asked, code)


def _campaign(asked: argparse.Namespace, code: Path | None) -> int:
    """Do the runs that are asked for; return the exit code."""
    keep = Path(asked.keep)
    bad: list[str] = []
    fired: Counter[str] = Counter()
    began = time.monotonic()
    for options in _runs(asked):
        if reason := hindrance(options):
            say(f"\nNOT RUN seed {options.seed}, {options.broker} broker: {reason}")
            continue
        try:
            outcome = _one(options, keep, asked.keep_good, code)
        except Exception:
            say(f"  the run could not be done:\n{traceback.format_exc()}")
            bad.append(f"seed {options.seed}, which could not be done")
            continue
        fired.update(fault.kind for fault in outcome.plan)
        if not outcome.verdict.good:
            bad.append(f"seed {options.seed}, kept in {outcome.kept}")
    say(f"\n{sum(fired.values())} faults of {len(fired)} kinds in {time.monotonic() - began:.0f} s")
    for run_and_place in bad:
        say(f"BAD: {run_and_place}")
    return 1 if bad else 0


def _one(options: Options, keep: Path, keep_good: bool, code: Path | None) -> Outcome:
    options, missing = possible(options)
    say(
        f"\nseed {options.seed}: {options.seconds:.0f} s, {options.broker} broker, ack {options.ack}, "
        f"{options.nodes} gateway(s), {options.workers} worker(s), "
        f"{options.producers} producers, {options.direct} of them past the gateways"
    )
    for kind, reason in missing.items():
        say(f"  NOT RUN {kind}: {reason}")
    outcome = run(options, keep, keep_good=keep_good, code=code)
    kinds = Counter(fault.kind for fault in outcome.plan)
    say("  " + ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items())))
    if unplanned := sorted(set(options.kinds) - set(kinds)):
        say(f"  no time for {', '.join(unplanned)}")
    say(outcome.verdict.text())
    for complaint, number in outcome.complaints.most_common(EXAMPLES):
        say(f"  the gateway complained {number} times: {complaint}")
    if outcome.kept is not None:
        say(f"  the history is kept in {outcome.kept}")
    return outcome


def say(line: str) -> None:
    """Write a line to standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _runs(asked: argparse.Namespace) -> Iterator[Options]:
    changes = {
        name: value
        for name in ("seconds", "workers", "nodes", "broker", "ack", "clients", "producers", "direct", "rate", "hooks")
        if (value := getattr(asked, name)) is not None
    }
    if asked.broker in ("redis", CLUSTERED):
        changes.setdefault("ack", "disk")
        changes.setdefault("direct", 1)
    if asked.kinds is not None:
        yield replace(Options(seed=1, seconds=60, kinds=asked.kinds), **changes, seed=asked.seed or 1)
        return
    for number in range(LONG_ROUNDS if asked.long else 1):
        for options in SHORT:
            seed = (asked.seed or 0) + options.seed + 1000 * number
            seconds = LONG_SECONDS if asked.long else options.seconds
            yield replace(replace(options, seed=seed, seconds=seconds), **changes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Faults, and whether anything is lost.")
    parser.add_argument("--long", action="store_true", help=f"{LONG_ROUNDS} rounds of long runs, with other seeds")
    parser.add_argument("--seed", type=int, help="decides everything that is decided by chance")
    parser.add_argument("--kinds", type=_kinds, help="one run with these: names of faults, or of groups, by commas")
    parser.add_argument("--seconds", type=float, help="how long faults go on, each run")
    parser.add_argument("--workers", type=int, help="workers of the gateway")
    parser.add_argument("--nodes", type=int, help="gateways; more than one need --broker redis")
    parser.add_argument("--broker", choices=("embedded", "memory", "redis", CLUSTERED))
    parser.add_argument("--ack", choices=("os", "disk"), help="with Redis: appendfsync everysec or always; disk there")
    parser.add_argument("--clients", type=int, help="readers")
    parser.add_argument("--producers", type=int, help="producers")
    parser.add_argument("--direct", type=int, help="of these so many push straight to Redis; one where there is any")
    parser.add_argument("--rate", type=float, help="publications a second of each producer")
    parser.add_argument("--hooks", choices=("process", "webhook"), help="who handles what pages tell: nobody else")
    parser.add_argument("--code", metavar="COMMIT", help="run the gateway of this commit of the repository")
    parser.add_argument("--judge", type=Path, help="only judge this history again", metavar="FILE")
    place = Path(tempfile.gettempdir()) / "messageflow-faults"
    parser.add_argument("--keep-good", action="store_true", help="keep good histories too")
    parser.add_argument("--keep", default=str(place), help="where bad histories go (%(default)s)")
    return parser


def _kinds(text: str) -> tuple[str, ...]:
    kinds: list[str] = []
    for word in text.split(","):
        if word not in GROUPS and word not in KINDS:
            raise argparse.ArgumentTypeError(f"{word!r} is neither of {', '.join([*GROUPS, *KINDS])}")
        kinds += GROUPS.get(word, (word,))
    return tuple(dict.fromkeys(kinds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
