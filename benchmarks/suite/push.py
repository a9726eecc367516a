"""Publishing from Python: pushes a second through `Flow`, one after another and in batches."""

from __future__ import annotations

import time

from benchmarks.figures import Figure, at_least
from benchmarks.plan import Plan
from benchmarks.publishing import publish_in_sequence
from benchmarks.servers.base import running
from benchmarks.servers.gateway import API_KEY, TOKEN_SECRET
from messageflow import Flow

USERS = 100
BATCH = 500
METHOD = (
    f"One thread, one Flow, loopback; pushes go round {USERS} users' personal channels and come back with a receipt "
    f"from the embedded broker. Batches hold {BATCH} pushes. Beside it, what one Python client publishes to Nchan over "
    "one kept-alive connection with the standard library's http.client (one channel, nobody subscribed)."
)
PAYLOAD = {"id": 7, "text": "x" * 90}


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    count = plan.of(short=5_000, full=20_000)
    one, batched, theirs = plan.alternate(
        sequential=lambda: sequential(plan, count),
        batches=lambda: in_batches(plan, 4 * count),
        nchan=lambda: peer_publishes(plan, count),
    )
    return [
        Figure("push, one after another", "/s", one, "Nchan, http.client", theirs, (at_least(3_000),)),
        Figure("push, in batches", "/s", batched, targets=(at_least(50_000),)),
    ]


def sequential(plan: Plan, count: int) -> float:
    """Pushes a second, each after the receipt of the one before."""
    server = plan.ours(plan.scratch)
    with running(server, plan.scratch), our_flow(server.port) as flow:
        started = time.monotonic()
        for number in range(count):
            flow.push(f"user-{number % USERS}", "bench/push", PAYLOAD)
        return count / (time.monotonic() - started)


def in_batches(plan: Plan, count: int) -> float:
    """Pushes a second when they are handed over BATCH at a time."""
    server = plan.ours(plan.scratch)
    with running(server, plan.scratch), our_flow(server.port) as flow:
        started = time.monotonic()
        for _ in range(count // BATCH):
            with flow.batch() as batch:
                for number in range(BATCH):
                    batch.push(f"user-{number % USERS}", "bench/push", PAYLOAD)
        return count / (time.monotonic() - started)


def peer_publishes(plan: Plan, count: int) -> float:
    """Publishes a second of one plain HTTP client to the peer."""
    server = plan.peer(plan.scratch)
    with running(server, plan.scratch):
        return count / publish_in_sequence(server, count)


def our_flow(port: int) -> Flow:
    """A Flow for the gateway on this port."""
    return Flow(f"http://127.0.0.1:{port}", api_key=API_KEY, token_secret=TOKEN_SECRET)
