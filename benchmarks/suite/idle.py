"""Idling: what connections that only answer pings cost the server in CPU."""

from __future__ import annotations

import time
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed
from benchmarks.figures import Figure, at_most
from benchmarks.plan import MakeServer, Plan
from benchmarks.servers.nchan import PING_SECONDS

CONNECTIONS = 10_000
METHOD = (
    f"{CONNECTIONS:,} authenticated, subscribed connections, nothing published; the server pings each every "
    f"{PING_SECONDS} s and each answers. CPU of all server processes over whole ping intervals. One round: the "
    "window itself is the average."
)


class Sample(NamedTuple):
    """Percent of a core, and pings a connection in the window."""

    percent: float
    pings: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    window = PING_SECONDS * plan.of(short=1, full=3)
    ours, theirs = sample(plan, plan.ours, window), sample(plan, plan.peer, window)
    plan.say(f"  {ours}, {theirs}")
    return [
        Figure(
            f"idle CPU, {CONNECTIONS:,} connections, pings on",
            "% of a core",
            (ours.percent,),
            "Nchan",
            (theirs.percent,),
            (at_most(3),),
        )
    ]


def sample(plan: Plan, make: MakeServer, seconds: float) -> Sample:
    """Watch an idle server for some seconds, beginning one ping interval after the last connection came.

    Raises:
        CrowdFailed: a connection was cut off, or the pings did not come.
    """
    with plan.subscribed(make, CONNECTIONS) as (process, subscribers):
        time.sleep(PING_SECONDS)
        before, started = process.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        percent = (process.cpu_seconds() - before) / (time.monotonic() - started) * 100
        received = subscribers.stop()
    pings = received.pings / CONNECTIONS
    if pings < seconds / PING_SECONDS:
        raise CrowdFailed(f"{pings:.2f} pings a connection came in {PING_SECONDS + seconds:.0f} s: {received}")
    return Sample(percent, pings)
