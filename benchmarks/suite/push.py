"""Publishing from Python: pushes a second through `Flow`, one after another, in batches, and many at once to disk."""

from __future__ import annotations

import time
from typing import NamedTuple

from benchmarks.figures import Figure, at_least
from benchmarks.plan import MakeServer, Plan
from benchmarks.publishing import publish_in_sequence
from benchmarks.pushing import BATCH, AtOnce, Job, in_batches, in_one_batch, later, one_after_another, push
from benchmarks.servers.base import running
from benchmarks.servers.gateway import IN_MEMORY, with_flags

USERS = 100
PROCESSES = 2
AT_ONCE = 64
METHOD = (
    f"Loopback; pushes go round {USERS} users' personal channels and come back with a receipt from the embedded "
    "broker, which has handed them to the operating system (--ack os). One after another: one thread, one Flow. "
    f"Batches of {BATCH}: {PROCESSES} processes, so that the gateway does not wait while one encodes the next. A loop "
    "of flow.later and its flush, and the same calls in one flow.batch: one process, one thread of its own making. To "
    f"disk: --ack disk, {PROCESSES} processes with {AT_ONCE // PROCESSES} AsyncFlow tasks each. CPU is that of all "
    "processes of a side. Beside it, the same with --broker memory, and what one Python client publishes to Nchan over "
    "one kept-alive connection with the standard library's http.client (one channel, nobody subscribed)."
)
TO_DISK = ("--ack", "disk")


class Sample(NamedTuple):
    """One run: pushes a second, and microseconds of CPU a push on either side."""

    per_second: float
    server_us: float
    client_us: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    count = plan.of(short=3_000, full=20_000)
    memory, disk = with_flags(*IN_MEMORY), with_flags(*TO_DISK)
    one, one_memory, batched, batched_memory, one_batch, sent_later, at_once, nchan = plan.alternate(
        sequential=lambda: sample(plan, plan.ours, one_after_another, count),
        sequential_in_memory=lambda: sample(plan, memory, one_after_another, count),
        batches=lambda: sample(plan, plan.ours, in_batches, 20 * count, PROCESSES),
        batches_in_memory=lambda: sample(plan, memory, in_batches, 20 * count, PROCESSES),
        one_batch=lambda: sample(plan, plan.ours, in_one_batch, 5 * count),
        later=lambda: sample(plan, plan.ours, later, 5 * count),
        disk=lambda: sample(plan, disk, AtOnce(AT_ONCE // PROCESSES), 3 * count, PROCESSES),
        nchan=lambda: peer_publishes(plan, count),
    )
    theirs = rates(nchan)
    return [
        Figure("push, one after another", "/s", rates(one), "Nchan, http.client", theirs, (at_least(3_000),)),
        Figure("the same, beside memory alone", "/s", rates(one), "--broker memory", rates(one_memory)),
        costs("push, one after another", one),
        Figure(
            "push, in batches",
            "/s",
            rates(batched),
            "--broker memory",
            rates(batched_memory),
            (at_least(50_000),),
        ),
        costs("push, in batches", batched),
        Figure("push, a loop of flow.later", "/s", rates(sent_later), "flow.batch", rates(one_batch)),
        costs("push, a loop of flow.later", sent_later),
        Figure(f"push, {AT_ONCE} at once, to disk", "/s", rates(at_once), targets=(at_least(5_000),)),
        costs(f"push, {AT_ONCE} at once, to disk", at_once),
    ]


def rates(samples: tuple[Sample, ...]) -> tuple[float, ...]:
    """Pushes a second of each sample."""
    return tuple(one.per_second for one in samples)


def costs(what: str, samples: tuple[Sample, ...]) -> Figure:
    """The CPU a push, of the server and of the pushing side: the greater of the two is what limits."""
    server, client = tuple(one.server_us for one in samples), tuple(one.client_us for one in samples)
    return Figure(f"server CPU per {what}", "µs", server, "client", client)


def sample(plan: Plan, make: MakeServer, job: Job, count: int, processes: int = 1) -> Sample:
    """Push through a fresh gateway.

    Raises:
        MessageflowError: a push was refused, or did not come through.
    """
    server = make(plan.scratch)
    users = [f"user-{number % USERS}" for number in range(count)]
    with running(server, plan.scratch) as process:
        before = process.cpu_seconds()
        work = push(job, server.port, users, processes)
        cpu = process.cpu_seconds() - before
    return Sample(work.per_second, cpu / count * 1e6, work.cpu_seconds / count * 1e6)


def peer_publishes(plan: Plan, count: int) -> Sample:
    """One plain HTTP client publishes to the peer."""
    server = plan.peer(plan.scratch)
    with running(server, plan.scratch) as process:
        before, used = process.cpu_seconds(), time.process_time()
        seconds = publish_in_sequence(server, count)
        client, cpu = time.process_time() - used, process.cpu_seconds() - before
    return Sample(count / seconds, cpu / count * 1e6, client / count * 1e6)
