"""Fan-out from two nodes over one Redis: deliveries a second and the cost of one, beside a gateway standing alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed, crowd
from benchmarks.figures import Figure
from benchmarks.plan import Plan
from benchmarks.publishing import PAYLOAD_BYTES, publish_burst, publish_in_sequence
from benchmarks.servers.over_redis import System, alone, over_redis
from benchmarks.servers.redis import SETTINGS_TOLD

SUBSCRIBERS = 1000
PUBLISHERS = 32
QUIET_SECONDS = 1.0
METHOD = (
    f"{SUBSCRIBERS} subscribers of one channel: dealt out over two nodes of a fresh {SETTINGS_TOLD}; all at one node "
    "over Redis; all at one gateway with its embedded broker. All publish at the first node. At once: "
    f"{PUBLISHERS} HTTP connections publish {PAYLOAD_BYTES} bytes each, again and again (wrk); deliveries between the "
    "first and the last, by the time between. One at a time: one client publishes, each as soon as the one before is "
    "answered. Gateway CPU is that of all nodes, the HTTP requests included, by deliveries; that of Redis by "
    "publications. Nodes, Redis, publishers and subscribers share the machine: with two cores, a second node adds "
    "work and no core, so deliveries a second are those of the machine."
)

Side = Callable[[], AbstractContextManager[System]]


class Sample(NamedTuple):
    """One run: millions of deliveries a second, µs of gateway CPU a delivery, of Redis' a publication, publications."""

    millions: float
    gateway_us: float
    redis_us: float
    publications: int


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    sides: dict[str, Side] = {
        "two": lambda: over_redis(plan.scratch, 2),
        "one": lambda: over_redis(plan.scratch, 1),
        "alone": lambda: alone(plan.scratch),
    }
    at_once = plan.alternate(**{name: lambda side=side: burst(plan, side) for name, side in sides.items()})
    single = plan.alternate(**{name: lambda side=side: one_at_a_time(plan, side) for name, side in sides.items()})
    return [
        *figures(f"{PUBLISHERS} publishers at once", *at_once),
        *figures("one publish at a time", *single)[2:],  # there the publisher decides how many a second
    ]


def figures(what: str, two: tuple[Sample, ...], one: tuple[Sample, ...], own: tuple[Sample, ...]) -> list[Figure]:
    """Two nodes and one over Redis, each beside the gateway that stands alone."""

    def rates(samples: tuple[Sample, ...]) -> tuple[float, ...]:
        return tuple(each.millions for each in samples)

    def costs(samples: tuple[Sample, ...]) -> tuple[float, ...]:
        return tuple(each.gateway_us for each in samples)

    peer = "embedded"
    return [
        Figure(f"deliveries, 2 nodes over Redis, {what}", "M/s", rates(two), peer, rates(own)),
        Figure(f"deliveries, 1 node over Redis, {what}", "M/s", rates(one), peer, rates(own)),
        Figure(f"gateway CPU per delivery, 2 nodes over Redis, {what}", "µs", costs(two), peer, costs(own)),
        Figure(f"gateway CPU per delivery, 1 node over Redis, {what}", "µs", costs(one), peer, costs(own)),
        Figure(f"Redis' CPU per publication, 2 nodes, {what}", "µs", tuple(each.redis_us for each in two)),
    ]


def burst(plan: Plan, side: Side) -> Sample:
    """Many publish at once.

    Raises:
        CrowdFailed: not every subscriber got every publication.
    """
    with side() as system, crowd(system.server, SUBSCRIBERS, plan.scratch, quiet=QUIET_SECONDS) as subscribers:
        before = system.used()
        done = publish_burst(system.server, plan.of(short=3, full=8), PUBLISHERS, plan.scratch)
        received = subscribers.wait(60)
        used = system.used().since(before)
    # wrk stops without waiting for its last answers: as many publications as it has connections may be uncounted
    if received.fewest != received.most or not 0 <= received.most - done.requests <= PUBLISHERS:
        raise CrowdFailed(f"{done.requests} publications were accepted, but {received}")
    return Sample(
        received.per_second / 1e6,
        used.gateways / received.publications * 1e6,
        used.redis / received.most * 1e6,
        received.most,
    )


def one_at_a_time(plan: Plan, side: Side) -> Sample:
    """One publishes, each after the answer to the one before.

    Raises:
        CrowdFailed: not every subscriber got every publication, once and in order.
    """
    count = plan.of(short=300, full=2000)
    with side() as system, crowd(system.server, SUBSCRIBERS, plan.scratch, expect=SUBSCRIBERS * count) as subscribers:
        before = system.used()
        publish_in_sequence(system.server, count)
        received = subscribers.wait(60)
        used = system.used().since(before)
    if received.lost or received.repeated:
        raise CrowdFailed(f"not every publication came once and in order: {received}")
    cost = used.gateways / received.publications * 1e6
    return Sample(received.per_second / 1e6, cost, used.redis / count * 1e6, count)
