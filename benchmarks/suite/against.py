"""Today beside another commit: did anything that people wait for become dearer?"""

from __future__ import annotations

from benchmarks.figures import Figure, at_least_times_peer, at_most_times_peer
from benchmarks.plan import MakeServer, Plan
from benchmarks.publishing import publish_in_sequence
from benchmarks.servers.base import running
from benchmarks.suite import burst, connect, fanout

DEARER = 1.03
"""How much more a thing may cost: what alternating rounds on a machine like this cannot tell from nothing."""

METHOD = (
    "The gateway of this checkout and that of the commit named by --against, in alternating rounds with fresh "
    "processes: connecting, one publish at a time to 1,000 subscribers, a burst of 32 publishers to them, and "
    "publishing one after another to nobody, by the standard library's http.client, so that the publisher is the same "
    "too. Both run on the same interpreter and libraries, with their durable broker. A ratio is the median of the "
    "rounds' ratios."
)


def run(plan: Plan, before: MakeServer) -> list[Figure]:
    """Measure."""
    rounds = plan.of(short=5, full=15)
    connections, publications, publishes = plan.of(short=3_000, full=10_000), plan.of(short=300, full=1_000), 3_000
    dearer = (at_most_times_peer(DEARER),)

    def measured(side: MakeServer) -> dict[str, float]:
        bursting = burst.sample(plan, side)
        return {
            "CPU per connect": connect.per_connection(plan, side, connections),
            "CPU per delivery, one publish at a time": fanout.server_cost(plan, side, publications),
            "CPU per delivery, 32 publishers at once": bursting.cpu_us,
            "deliveries, 32 publishers at once": bursting.per_second / 1e6,
            "CPU per publish, one after another": publishing(plan, side, publishes),
        }

    now, then = plan.alternate(rounds, now=lambda: measured(plan.ours), before=lambda: measured(before))
    figures = []
    for what in now[0]:
        ours, theirs = tuple(one[what] for one in now), tuple(one[what] for one in then)
        rate = what.startswith("deliveries")
        targets = (at_least_times_peer(1 / DEARER),) if rate else dearer
        figures.append(Figure(what, "M/s" if rate else "µs", ours, "before", theirs, targets))
    return figures


def publishing(plan: Plan, make: MakeServer, publishes: int) -> float:
    """Microseconds of server CPU a publish that nobody reads."""
    server = make(plan.scratch)
    with running(server, plan.scratch) as process:
        publish_in_sequence(server, publishes // 10)  # to warm up
        before = process.cpu_seconds()
        publish_in_sequence(server, publishes)
        return (process.cpu_seconds() - before) / publishes * 1e6
