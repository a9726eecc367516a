"""Latency: the 99th percentile from publish to arrival, ours and Nchan's under the same load."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from benchmarks.figures import Figure, at_most_times_peer
from benchmarks.plan import MakeServer, Plan
from benchmarks.publishing import PAYLOAD_BYTES, publish_at_rate, publish_in_sequence

SUBSCRIBERS = 1000
PEAK_PUBLICATIONS = 200
METHOD = (
    f"{SUBSCRIBERS} subscribers of one channel, {PAYLOAD_BYTES} bytes a publication. First Nchan's peak: the rate at "
    "which one client publishes when each publish follows the answer to the one before. Half of that rate, evenly "
    "spaced, is then offered to both. Latency runs from the moment a publish is due to the arrival of each of its "
    "deliveries, the HTTP request included."
)


class Sample(NamedTuple):
    """Milliseconds from publish to arrival."""

    p50: float
    p99: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    rate = median(peak(plan) for _ in range(plan.rounds)) / 2
    plan.say(f"  offered to both: {rate:.0f} publications/s, {rate * SUBSCRIBERS / 1e6:.3f} M deliveries/s")
    publications = int(rate * plan.of(short=3, full=15))
    ours, theirs = plan.alternate(
        ours=lambda: sample(plan, plan.ours, rate, publications),
        nchan=lambda: sample(plan, plan.peer, rate, publications),
    )
    at = f"at half of Nchan's peak ({rate:.0f}/s)"
    return [
        Figure(
            f"p99 latency {at}",
            "ms",
            tuple(one.p99 for one in ours),
            "Nchan",
            tuple(one.p99 for one in theirs),
            (at_most_times_peer(0.8),),
        ),
        Figure(f"p50 latency {at}", "ms", tuple(one.p50 for one in ours), "Nchan", tuple(one.p50 for one in theirs)),
    ]


def peak(plan: Plan) -> float:
    """Publications a second through Nchan, one at a time, to the last delivery."""
    expect = SUBSCRIBERS * PEAK_PUBLICATIONS
    with plan.subscribed(plan.peer, SUBSCRIBERS, expect=expect) as (process, subscribers):
        publish_in_sequence(process.server, PEAK_PUBLICATIONS)
        return subscribers.wait(60).per_second / SUBSCRIBERS


def sample(plan: Plan, make: MakeServer, rate: float, publications: int) -> Sample:
    """One run at a rate through a fresh server."""
    expect = SUBSCRIBERS * publications
    with plan.subscribed(make, SUBSCRIBERS, expect=expect, sample=1) as (process, subscribers):
        publish_at_rate([process.server], publications, rate)
        received = subscribers.wait(60)
    return Sample(received.p50_ms, received.p99_ms)
