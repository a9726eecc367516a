"""Connecting: what upgrade, token and subscription cost the server in CPU, a connection."""

from __future__ import annotations

from benchmarks.crowd import crowd
from benchmarks.figures import Figure, at_most, at_most_times_peer
from benchmarks.plan import MakeServer, Plan
from benchmarks.servers.base import running
from benchmarks.servers.centrifugo import centrifugo
from benchmarks.tools import Unavailable

WARM_UP = 200
METHOD = (
    "Connections of distinct users, 200 being opened at a time: upgrade, HS256 token, one subscription to a shared "
    "channel beside the two that the server subscribes each to (Centrifugo: the same three; Nchan: the upgrade, which "
    "subscribes to one; it checks no token). CPU of all server processes from the first "
    f"upgrade to the last answer, divided by connections, after {WARM_UP} to warm up."
)


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    connections = plan.of(short=3_000, full=10_000)
    sides = {
        "ours": lambda: per_connection(plan, plan.ours, connections),
        "nchan": lambda: per_connection(plan, plan.peer, connections),
    }
    missing = why_without_centrifugo(plan)
    if not missing:
        sides["centrifugo"] = lambda: per_connection(plan, centrifugo, connections)
    ours, nchan, *others = plan.alternate(**sides)
    return [
        Figure("CPU per connect", "µs", ours, "Nchan, no token", nchan, (at_most(250),)),
        Figure(
            "CPU per connect",
            "µs",
            ours,
            "Centrifugo, same token and subscriptions",
            others[0] if others else (),
            (at_most_times_peer(1),) if others else (),
            missing,
        ),
    ]


def why_without_centrifugo(plan: Plan) -> str:
    """Why the peer with the same token and subscriptions cannot be had; empty where it can."""
    try:
        centrifugo(plan.scratch)
    except Unavailable as error:
        return str(error)
    return ""


def per_connection(plan: Plan, make: MakeServer, connections: int) -> float:
    """Microseconds of server CPU a connection."""
    server = make(plan.scratch)
    with running(server, plan.scratch) as process:
        with crowd(server, WARM_UP, plan.scratch):
            pass
        before = process.cpu_seconds()
        with crowd(server, connections, plan.scratch):
            return (process.cpu_seconds() - before) / connections * 1e6
