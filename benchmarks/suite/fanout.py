"""Fan-out, one publish at a time: what a delivery costs the server in CPU, beside Nchan and beside bare `send`."""

from __future__ import annotations

import subprocess

import msgspec

from benchmarks.crowd import crowd
from benchmarks.figures import Figure, at_most_times_peer
from benchmarks.plan import MakeServer, Plan
from benchmarks.publishing import PAYLOAD_BYTES, publish_in_sequence
from benchmarks.servers.base import PublishSide, Server, SubscribeSide, free_port
from benchmarks.servers.gateway import IN_MEMORY, with_flags
from benchmarks.tools import native

SUBSCRIBERS = 1000
METHOD = (
    f"{SUBSCRIBERS} subscribers of one channel; one client publishes {PAYLOAD_BYTES} bytes over HTTP, each as soon as "
    "the one before is answered. CPU of all server processes, the HTTP request included, divided by deliveries. "
    "Ours keeps what is published in its file (--ack os); beside it the same with --broker memory. The C loop calls "
    "send once a delivery and does nothing else."
)


class LoopCost(msgspec.Struct, frozen=True):
    """What send_loop says at its end."""

    deliveries: int
    cpu_s: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    publications = plan.of(short=300, full=2000)
    ours, memory, theirs, loop = plan.alternate(
        ours=lambda: server_cost(plan, plan.ours, publications),
        memory=lambda: server_cost(plan, with_flags(*IN_MEMORY), publications),
        nchan=lambda: server_cost(plan, plan.peer, publications),
        loop=lambda: loop_cost(plan, publications),
    )
    return [
        Figure("CPU per delivery, one publish at a time", "µs", ours, "Nchan", theirs, (at_most_times_peer(1.0),)),
        Figure("the same, beside memory alone", "µs", ours, "--broker memory", memory),
        Figure("the same, beside the bare loop", "µs", ours, "C send loop", loop, (at_most_times_peer(1.2),)),
    ]


def server_cost(plan: Plan, make: MakeServer, publications: int) -> float:
    """Microseconds of server CPU a delivery."""
    with plan.subscribed(make, SUBSCRIBERS, expect=SUBSCRIBERS * publications) as (process, subscribers):
        before = process.cpu_seconds()
        publish_in_sequence(process.server, publications)
        received = subscribers.wait(60)
        return (process.cpu_seconds() - before) / received.publications * 1e6


def loop_cost(plan: Plan, publications: int) -> float:
    """Microseconds of CPU a delivery of the bare C loop."""
    port = free_port()
    command = [native("send_loop"), str(port), str(SUBSCRIBERS), str(publications), str(PAYLOAD_BYTES)]
    server = Server("send_loop", tuple(command), port, SubscribeSide("/"), PublishSide("/", str))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()  # it listens
        with crowd(server, SUBSCRIBERS, plan.scratch, expect=SUBSCRIBERS * publications) as subscribers:
            process.stdin.write("go\n")
            process.stdin.flush()
            subscribers.wait(60)
            cost = msgspec.json.decode(process.stdout.readline(), type=LoopCost)
    finally:
        process.kill()
        process.communicate()
    return cost.cpu_s / cost.deliveries * 1e6
