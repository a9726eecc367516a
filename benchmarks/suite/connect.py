"""Connecting: what upgrade, token and subscription cost the server in CPU, a connection."""

from __future__ import annotations

from benchmarks.crowd import crowd
from benchmarks.figures import Figure, at_most
from benchmarks.plan import MakeServer, Plan
from benchmarks.servers.base import running

WARM_UP = 200
METHOD = (
    "Connections of distinct users, 200 being opened at a time: upgrade, HS256 token, one subscription to a shared "
    "channel (Nchan: the upgrade, which subscribes; it checks no token). CPU of all server processes from the first "
    f"upgrade to the last answer, divided by connections, after {WARM_UP} to warm up."
)


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    connections = plan.of(short=3_000, full=10_000)
    ours, theirs = plan.alternate(
        ours=lambda: per_connection(plan, plan.ours, connections),
        nchan=lambda: per_connection(plan, plan.peer, connections),
    )
    return [Figure("CPU per connect", "µs", ours, "Nchan, no token", theirs, (at_most(250),))]


def per_connection(plan: Plan, make: MakeServer, connections: int) -> float:
    """Microseconds of server CPU a connection."""
    server = make(plan.scratch)
    with running(server, plan.scratch) as process:
        with crowd(server, WARM_UP, plan.scratch):
            pass
        before = process.cpu_seconds()
        with crowd(server, connections, plan.scratch):
            return (process.cpu_seconds() - before) / connections * 1e6
