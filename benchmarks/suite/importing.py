"""Importing: what a process that pushes pays before its first push, and whether anything of the gateway is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

import messageflow
from benchmarks.figures import Figure, at_most, at_most_times_peer
from benchmarks.plan import Plan

MOST_MS = 60
OF_FLASK = 0.75
FACE = "import messageflow"
FLOW = "from messageflow import Flow; Flow()"
TYPED = "from messageflow import Flow, Message; Flow()\nclass ReportReady(Message): id: int"
PEER = "import flask; flask.Flask('app')"
GATEWAY = ("api.api", "brokers", "cli", "dialects", "gateway", "hub", "testing")
PROGRAM = """
import time
begin = time.process_time()
{statement}
seconds = time.process_time() - begin
import json, sys
print(json.dumps([seconds, [*sys.modules]]))
"""
METHOD = (
    "Milliseconds of CPU, which on a machine of one's own are those of the clock, from the first statement of a fresh "
    "Python process until it is carried out; the interpreter's own start is not in it. Compiled modules and the file "
    "cache are warm. A sample is the median of so many processes, one after another, taking turns with "
    f"`{PEER}`. Counted are the modules of the gateway's side that were loaded: {', '.join(GATEWAY)}."
)


class Loaded(NamedTuple):
    """One process: how long it took, and the modules of the gateway that it has."""

    milliseconds: float
    of_gateway: tuple[str, ...]


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    count = plan.of(short=7, full=25)
    face, flow, typed, flask = plan.alternate(
        face=lambda: sample(FACE, count),
        flow=lambda: sample(FLOW, count),
        typed=lambda: sample(TYPED, count),
        flask=lambda: sample(PEER, count),
    )
    theirs = milliseconds(flask)
    of_gateway = tuple(float(len(each.of_gateway)) for each in (*face, *flow, *typed))
    beside = (at_most_times_peer(OF_FLASK),)
    return [
        Figure("import messageflow", "ms", milliseconds(face), "a Flask application", theirs, (at_most(MOST_MS),)),
        Figure("import of a Flow", "ms", milliseconds(flow), "a Flask application", theirs, beside),
        Figure("import of a Flow, a typed message", "ms", milliseconds(typed), "a Flask application", theirs, beside),
        Figure("modules of the gateway that these load", "", of_gateway, targets=(at_most(0),)),
    ]


def milliseconds(samples: tuple[Loaded, ...]) -> tuple[float, ...]:
    """How long each sample took."""
    return tuple(each.milliseconds for each in samples)


def sample(statement: str, count: int) -> Loaded:
    """Carry out a statement in so many fresh processes."""
    taken = [load_once(statement) for _ in range(count)]
    return Loaded(median(each.milliseconds for each in taken), taken[0].of_gateway)


def load_once(statement: str) -> Loaded:
    """Carry out a statement in one fresh process."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(Path(messageflow.__file__).parents[1])
    program = PROGRAM.format(statement=statement)
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    seconds, modules = json.loads(ran.stdout)
    prefixes = tuple(f"messageflow.{each}." for each in GATEWAY)
    return Loaded(seconds * 1e3, tuple(name for name in modules if f"{name}.".startswith(prefixes)))
