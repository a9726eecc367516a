"""Memory: what one more idle, authenticated, subscribed connection adds to the server's resident memory."""

from __future__ import annotations

from benchmarks.crowd import crowd
from benchmarks.figures import Figure, at_most
from benchmarks.plan import MakeServer, Plan
from benchmarks.servers.base import running

WARM_UP = 200
METHOD = (
    "Connections of distinct users, each with a token of its own and one subscription to a shared channel (Nchan: "
    f"upgraded, which subscribes). Resident memory of all server processes after, less before, once {WARM_UP} "
    "connections have come and gone, divided by connections. The kernel's socket memory is not part of it."
)


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    connections = plan.of(short=5_000, full=10_000)
    ours, theirs = plan.alternate(
        ours=lambda: per_connection(plan, plan.ours, connections),
        nchan=lambda: per_connection(plan, plan.peer, connections),
    )
    return [Figure(f"RSS per idle connection ({connections:,})", "B", ours, "Nchan", theirs, (at_most(2600),))]


def per_connection(plan: Plan, make: MakeServer, connections: int) -> float:
    """Bytes of resident memory a connection."""
    server = make(plan.scratch)
    with running(server, plan.scratch) as process:
        with crowd(server, WARM_UP, plan.scratch):
            pass
        before = process.rss_bytes()
        with crowd(server, connections, plan.scratch):
            return (process.rss_bytes() - before) / connections
