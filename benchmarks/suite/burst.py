"""Fan-out under a burst: how many deliveries a second one worker makes when many publish at once, and at what cost."""

from __future__ import annotations

import time
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed
from benchmarks.figures import Figure, at_least, at_least_times_peer, at_most
from benchmarks.plan import MakeServer, Plan
from benchmarks.publishing import PAYLOAD_BYTES, publish_burst
from benchmarks.servers.gateway import IN_MEMORY, with_flags

SUBSCRIBERS = 1000
PUBLISHERS = 32
DRAIN_SECONDS = 1.0
SLOW_NS = 600  # of a reader that does something with what it gets
SLOW_DRAIN_SECONDS = 2.0
MANY_PUBLISHERS = 96
SLOWER_NS = 3_000  # of one that does more
METHOD = (
    f"{SUBSCRIBERS} subscribers of one channel; {PUBLISHERS} HTTP connections publish {PAYLOAD_BYTES} bytes each, "
    "again and again, all at once (wrk). Deliveries between the first and the last, divided by the time between. wrk "
    "and the subscribers run on the same cores and take their share of them. Ours keeps what is published in its file "
    "(--ack os); beside it the same with --broker memory. Slower readers take "
    f"{SLOW_NS / 1000:g} µs a message, 1.7 M/s at most for all of them, which have one thread: nobody may be cut off, "
    f"and {SLOW_DRAIN_SECONDS:g} s after the last publish all should have as much. The same with {MANY_PUBLISHERS} "
    f"publishers and {SLOWER_NS / 1000:g} µs a message. On loopback Linux takes up to 900 KiB for a reader that is "
    "slow, which is acknowledged and would be 15 s of work for their one thread."
)


class Sample(NamedTuple):
    """One burst: deliveries a second, and microseconds of server CPU a delivery."""

    per_second: float
    cpu_us: float


class SlowSample(NamedTuple):
    """One burst to slower readers: deliveries a second, publications by which readers differ, MiB more memory."""

    per_second: float
    apart: float
    rise: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    slow, crowded = plan.alternate(
        slow=lambda: slow_sample(plan, plan.ours, PUBLISHERS, SLOW_NS),
        crowded=lambda: slow_sample(plan, plan.ours, MANY_PUBLISHERS, SLOWER_NS),
    )
    ours, memory, theirs = plan.alternate(
        ours=lambda: sample(plan, plan.ours),
        memory=lambda: sample(plan, with_flags(*IN_MEMORY)),
        nchan=lambda: sample(plan, plan.peer),
    )
    return [
        Figure(
            f"deliveries, {PUBLISHERS} publishers at once",
            "M/s",
            tuple(one.per_second / 1e6 for one in ours),
            "Nchan",
            tuple(one.per_second / 1e6 for one in theirs),
            (at_least_times_peer(15), at_least(1.5)),
        ),
        Figure(
            "the same, beside memory alone",
            "M/s",
            tuple(one.per_second / 1e6 for one in ours),
            "--broker memory",
            tuple(one.per_second / 1e6 for one in memory),
        ),
        Figure(
            f"CPU per delivery, {PUBLISHERS} publishers at once",
            "µs",
            tuple(one.cpu_us for one in ours),
            "Nchan",
            tuple(one.cpu_us for one in theirs),
        ),
        Figure("deliveries to slower readers", "M/s", tuple(one.per_second / 1e6 for one in slow)),
        Figure(
            f"publications by which slower readers differ {SLOW_DRAIN_SECONDS:g} s after",
            "",
            tuple(one.apart for one in slow),
            targets=(at_most(0),),
        ),
        Figure(
            f"the same with {MANY_PUBLISHERS} publishers and {SLOWER_NS / 1000:g} µs a message",
            "",
            tuple(one.apart for one in crowded),
            targets=(at_most(0),),
        ),
        Figure("memory for slower readers", "MiB", tuple(one.rise for one in slow)),
    ]


def sample(plan: Plan, make: MakeServer) -> Sample:
    """One burst through a fresh server.

    Raises:
        CrowdFailed: not every subscriber got every publication.
    """
    with plan.subscribed(make, SUBSCRIBERS) as (process, subscribers):
        before = process.cpu_seconds()
        burst = publish_burst(process.server, plan.of(short=3, full=8), PUBLISHERS, plan.scratch)
        time.sleep(DRAIN_SECONDS)  # what is on its way still arrives
        cpu = process.cpu_seconds() - before
        received = subscribers.stop()
    # wrk stops without waiting for its last answers: as many publications as it has connections may be uncounted
    if received.fewest != received.most or not 0 <= received.most - burst.requests <= PUBLISHERS:
        raise CrowdFailed(f"{burst.requests} publications were accepted, but {received}")
    return Sample(received.per_second, cpu / received.publications * 1e6)


def slow_sample(plan: Plan, make: MakeServer, publishers: int, busy_ns: int) -> SlowSample:
    """One burst through a fresh server, to readers that take less than is published.

    Raises:
        CrowdFailed: one was cut off.
    """
    with plan.subscribed(make, SUBSCRIBERS, busy_ns=busy_ns) as (process, subscribers):
        before = process.rss_bytes()
        publish_burst(process.server, plan.of(short=3, full=10), publishers, plan.scratch)
        time.sleep(SLOW_DRAIN_SECONDS)
        rise = (process.peak_rss_bytes() - before) / 2**20
        received = subscribers.stop()
    return SlowSample(received.per_second, received.most - received.fewest, rise)
