"""The reconnect storm: how many a gateway takes back a second, and whether too many at its door slow it down."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed, crowd
from benchmarks.figures import Figure, at_least, at_least_times_peer
from benchmarks.plan import Plan
from benchmarks.publishing import payload
from benchmarks.pushing import our_flow
from benchmarks.servers.base import Server, running
from benchmarks.servers.gateway import CHANNEL, first_frames

WARM_UP = 200
AT_THE_DOOR = 200
OVERLOAD = 10
METHOD = (
    "Connections of distinct users that come back: upgrade, HS256 token, the position of the broadcast channel in the "
    "connect command, a subscription with a position beside it, and in each of the two channels one publication that "
    f"was missed; {AT_THE_DOOR} are being opened at a time. CPU of all server processes from the first upgrade to the "
    f"last answer, after {WARM_UP} to warm up, gives connects a second and core. A run in which one connection did not "
    "get both publications is thrown out. Connects a second on the clock share the machine with the client. Overload: "
    f"{OVERLOAD} times as many are being opened at a time, and whoever is refused with 503 is back at once."
)


class Sample(NamedTuple):
    """One storm: connects a second and core of the server, connects a second, and refusals."""

    per_core: float
    per_second: float
    refused: int


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    connections = plan.of(short=4_000, full=10_000)
    usual, overload = plan.alternate(
        storm=lambda: sample(plan, connections, AT_THE_DOOR),
        overload=lambda: sample(plan, connections, OVERLOAD * AT_THE_DOOR),
    )
    rate = tuple(one.per_second for one in usual)
    return [
        Figure(
            "full connects, by server CPU", "/s/core", tuple(one.per_core for one in usual), targets=(at_least(2_000),)
        ),
        Figure("full connects, on the clock", "/s", rate),
        Figure(
            f"the same, {OVERLOAD} times as many at the door",
            "/s",
            tuple(one.per_second for one in overload),
            "usual",
            rate,
            (at_least_times_peer(0.8),),
        ),
    ]


def sample(plan: Plan, connections: int, at_the_door: int) -> Sample:
    """Take back so many connections.

    Raises:
        CrowdFailed: one could not come back, or did not get what it missed.
    """
    server = plan.ours(plan.scratch)
    with running(server, plan.scratch) as process:
        coming_back = missing_two(server)
        with crowd(coming_back, WARM_UP, plan.scratch):
            pass
        before = process.cpu_seconds()
        with crowd(coming_back, connections, plan.scratch, opening=at_the_door, retry=True) as back:
            cpu = process.cpu_seconds() - before
            received = back.stop()
    if not received.fewest == received.most == 2 or received.repeated:
        raise CrowdFailed(f"not everybody got the two publications that were missed: {received}")
    return Sample(connections / cpu, connections / back.ready.seconds, received.refused)


def missing_two(server: Server) -> Server:
    """The server, to subscribers who stood just before the newest of two publications in each of two channels."""
    with our_flow(server.port) as flow:
        held = {"*": flow.broadcast("bench/storm", ""), CHANNEL: flow.publish(CHANNEL, "")}
        flow.broadcast("bench/storm", payload(1, 0))
        flow.publish(CHANNEL, payload(2, 0))
    return replace(server, subscribe=replace(server.subscribe, first_frames=partial(first_frames, held=held)))
