"""Plant every bug of `areas/`, one at a time, and see that the tests notice.

    python -m tests.mutants                  all of them
    python -m tests.mutants hub redis        those of some areas
    python -m tests.mutants --name "tag"     those with this in their names

It ends with 1 when fewer than 95 % are killed, when one survives that is not known to, when one that is known to
survive is killed, or when a test fails without any bug.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.laboratory import Fate, Laboratory
from tests.mutants.planted import Planted, areas

KILLED_SHARE = 0.95
LABORATORIES = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what the arguments ask for; return the exit status."""
    asked = _parser().parse_args(arguments)
    chosen = [
        (area, planted)
        for area, members in areas().items()
        for planted in members
        if (not asked.areas or area in asked.areas) and asked.name in planted.name
    ]
    if not chosen:
        say("no planted bug is meant by this")
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        fates = _fates([planted for _, planted in chosen], Path(place))
    good = _report(chosen, fates)
    say(f"{time.monotonic() - began:.0f} s")
    return 0 if good else 1


def _fates(chosen: list[Planted], place: Path) -> list[Fate]:
    free: SimpleQueue[Laboratory] = SimpleQueue()
    for number in range(LABORATORIES):
        (place / str(number)).mkdir()
        free.put(Laboratory(place / str(number)))

    def healthy(killed_by: str) -> bool:
        laboratory = free.get()
        try:
            return laboratory.healthy(killed_by)
        finally:
            free.put(laboratory)

    def fate(planted: Planted) -> Fate:
        if not whole[planted.killed_by]:
            return Fate.BROKEN
        laboratory = free.get()
        try:
            found = laboratory.fate(planted)
        finally:
            free.put(laboratory)
        say(f"  {found:<9} {planted.name}")
        return found

    with ThreadPoolExecutor(LABORATORIES) as pool:
        tests = list(dict.fromkeys(planted.killed_by for planted in chosen))
        whole = dict(zip(tests, pool.map(healthy, tests), strict=True))
        return list(pool.map(fate, chosen))


def _report(chosen: list[tuple[str, Planted]], fates: list[Fate]) -> bool:
    """Say what was found; return whether it is as it should be."""
    by_area: dict[str, Counter[Fate]] = {}
    good = True
    for (area, planted), fate in zip(chosen, fates, strict=True):
        by_area.setdefault(area, Counter())[fate] += 1
        if fate is Fate.SURVIVED and planted.survives:
            say(f"survives, as is known: {planted.name}: {planted.survives}")
        elif fate is not Fate.KILLED or planted.survives:
            good = False
            say(f"WRONG: {planted.name} ({planted.killed_by}): {fate}")
    for area, counts in by_area.items():
        say(f"{area:<12} {counts[Fate.KILLED]} of {counts.total()} killed")
    killed = sum(counts[Fate.KILLED] for counts in by_area.values())
    say(f"in all       {killed} of {len(chosen)} killed")
    return good and killed >= KILLED_SHARE * len(chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("areas", nargs="*", help="which areas; all by default")
    parser.add_argument("--name", default="", help="only those with this in their names")
    return parser


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
