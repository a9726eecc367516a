"""What came of a run, and where it is kept for whoever wants to know why."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.gateway import Gateway
from tests.faults.history import Event, write_history
from tests.faults.options import Options
from tests.faults.schedule import Planned
from tests.faults.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. `kept` is where its history and log are, when they were worth keeping."""

    options: Options
    verdict: Verdict
    plan: list[Planned]
    complaints: Counter[str]
    kept: Path | None


def keep_run(where: Path, options: Options, events: Sequence[Event], gateways: Sequence[Gateway]) -> Path:
    """Write history and logs of a run into a directory of their own, and return it."""
    kept = where / f"seed-{options.seed}-{int(time.time())}"
    with suppress(FileNotFoundError):
        shutil.rmtree(kept)
    kept.mkdir(parents=True)
    write_history(kept / "history.jsonl", events)
    for number, gateway in enumerate(gateways, 1):
        (kept / f"gateway-{number}.log").write_text("".join(gateway.lines))
    return kept
