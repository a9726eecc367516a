"""Kill -9 of a gateway that holds 15,000 connections: how long until all are back, and have what they missed."""

from __future__ import annotations

import time
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed, crowd
from benchmarks.figures import Figure, at_most
from benchmarks.plan import Plan
from benchmarks.servers.base import running
from benchmarks.suite.storm import missing_two

CONNECTIONS = 15_000  # each an open file, of the gateway and of the crowd: the hard limit has to be 16,000 at least
AT_THE_DOOR = 4_000  # just below what the kernel holds for a listening socket; beyond it a client waits a second
METHOD = (
    f"One worker with {CONNECTIONS:,} connections of distinct users, in three channels each, is killed with SIGKILL "
    f"and started again at once. All come back at once, as no browser would: {AT_THE_DOOR:,} are being opened at a "
    "time, and whoever is refused with 503 is back at once. Each shows token and positions of two channels, and has "
    "missed a "
    "publication in either. From the kill until the last has both, the gateway's start and its reading of the file "
    "included. A run in which one did not get both is thrown out."
)


class Sample(NamedTuple):
    """One kill: seconds until the gateway listens, seconds until all are back, CPU of it, and refusals."""

    started: float
    back: float
    cpu: float
    refused: int


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    (samples,) = plan.alternate(plan.long_rounds, comeback=lambda: sample(plan, CONNECTIONS))
    return [
        Figure(
            f"{CONNECTIONS:,} back after kill -9",
            "s",
            tuple(one.started + one.back for one in samples),
            targets=(at_most(10),),
        ),
        Figure("of it, until the gateway listened again", "s", tuple(one.started for one in samples)),
        Figure("of it, CPU of the gateway", "s", tuple(one.cpu for one in samples)),
    ]


def sample(plan: Plan, connections: int) -> Sample:
    """Kill a fresh gateway with so many connections.

    Raises:
        CrowdFailed: one could not come back, or did not get what it missed.
    """
    server = plan.ours(plan.scratch)
    with (
        running(server, plan.scratch) as process,
        crowd(server, connections, plan.scratch, opening=AT_THE_DOOR, retry=True),
    ):
        coming_back = missing_two(server)  # not before: history is kept for a minute
        killed_at = time.monotonic()
        process.kill()
    with running(server, plan.scratch) as process:
        started = time.monotonic() - killed_at
        with crowd(coming_back, connections, plan.scratch, opening=AT_THE_DOOR, retry=True) as back:
            cpu = process.cpu_seconds()
            received = back.stop()
    if not received.fewest == received.most == 2 or received.repeated:
        raise CrowdFailed(f"not everybody got the two publications that were missed: {received}")
    return Sample(started, back.ready.seconds, cpu, received.refused)
