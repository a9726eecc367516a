"""Unicast: a push each to many users at a steady rate, as notifications come: latency, and CPU of the whole way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed, crowd
from benchmarks.figures import Figure, at_most
from benchmarks.plan import Plan
from benchmarks.publishing import payload
from benchmarks.pushing import TYPE, our_flow
from benchmarks.servers.base import running
from benchmarks.servers.gateway import token, user

USERS = 10_000
PER_SECOND = 1_000
WARM_UP = 500
METHOD = (
    f"{USERS:,} users with a connection each; one backend makes {PER_SECOND:,} pushes a second, evenly spaced, each "
    "to another user, with `Flow.push`: a request of its own, stored, answered, delivered. Latency runs from the "
    "moment a push is due to its arrival, so that a push that waits for the one before counts. CPU of the gateway from "
    "the first push to the last delivery, pings included; that of the backend is shown beside it."
)


class Sample(NamedTuple):
    """Milliseconds from push to arrival; microseconds of CPU a push, of gateway and backend; pushes a second."""

    p50: float
    p99: float
    server: float
    backend: float
    per_second: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    (samples,) = plan.alternate(unicast=lambda: sample(plan, plan.of(short=4_000, full=USERS)))
    return [
        Figure("unicast, p99 from push to arrival", "ms", tuple(one.p99 for one in samples), targets=(at_most(5),)),
        Figure("unicast, p50", "ms", tuple(one.p50 for one in samples)),
        Figure("unicast, gateway CPU a push", "µs", tuple(one.server for one in samples), targets=(at_most(120),)),
        Figure("unicast, CPU of the backend a push", "µs", tuple(one.backend for one in samples)),
        Figure("unicast, pushes that were made", "/s", tuple(one.per_second for one in samples)),
    ]


def sample(plan: Plan, pushes: int) -> Sample:
    """Push once to each of so many users, of all that are connected.

    Raises:
        CrowdFailed: a push did not arrive, or arrived twice.
    """
    server = plan.ours(plan.scratch)
    alone = replace(server, subscribe=replace(server.subscribe, first_frames=_connect, ready_text='"id":1'))
    with (
        running(alone, plan.scratch) as process,
        crowd(alone, USERS, plan.scratch, expect=pushes, sample=1) as users,
        our_flow(server.port) as flow,
    ):
        for _ in range(WARM_UP):
            flow.push("nobody", TYPE, "")
        before, used, started = process.cpu_seconds(), time.process_time(), time.time_ns()
        for number in range(pushes):
            due = started + number * 1_000_000_000 // PER_SECOND
            wait = due - time.time_ns()
            if wait > 0:
                time.sleep(wait / 1e9)
            flow.push(user(number * USERS // pushes), TYPE, payload(1, due))
        seconds, backend = (time.time_ns() - started) / 1e9, time.process_time() - used
        received = users.wait(60)
        server_cpu = process.cpu_seconds() - before
    if received.most != 1:
        raise CrowdFailed(f"somebody got another's push: {received}")
    return Sample(received.p50_ms, received.p99_ms, server_cpu / pushes * 1e6, backend / pushes * 1e6, pushes / seconds)


def _connect(connections: int) -> Iterator[str]:
    """For each connection, connect as a user of its own."""
    for number in range(connections):
        yield json.dumps({"id": 1, "connect": {"token": token(number)}})
