"""Today beside another commit: did anything that people wait for become dearer?"""

from __future__ import annotations

from benchmarks.figures import Figure, at_least_times_peer, at_most_times_peer
from benchmarks.plan import MakeServer, Plan
from benchmarks.pushing import one_after_another
from benchmarks.suite import burst, connect, fanout, push

DEARER = 1.03
"""How much more a thing may cost: what alternating rounds on a machine like this cannot tell from nothing."""

METHOD = (
    "The gateway of this checkout and that of the commit named by --against, in alternating rounds with fresh "
    "processes: connecting, one publish at a time to 1,000 subscribers, a burst of 32 publishers to them, and pushes "
    "one after another. Both run on the same interpreter and libraries, with their durable broker. A ratio is the "
    "median of the rounds' ratios; a push's cost is that of the server alone."
)


def run(plan: Plan, before: MakeServer) -> list[Figure]:
    """Measure."""
    rounds = plan.of(short=5, full=15)
    connections, publications, pushes = plan.of(short=3_000, full=10_000), plan.of(short=300, full=1_000), 3_000
    dearer = (at_most_times_peer(DEARER),)

    def measured(side: MakeServer) -> dict[str, float]:
        bursting = burst.sample(plan, side)
        return {
            "CPU per connect": connect.per_connection(plan, side, connections),
            "CPU per delivery, one publish at a time": fanout.server_cost(plan, side, publications),
            "CPU per delivery, 32 publishers at once": bursting.cpu_us,
            "deliveries, 32 publishers at once": bursting.per_second / 1e6,
            "server CPU per push, one after another": push.sample(plan, side, one_after_another, pushes).server_us,
        }

    now, then = plan.alternate(rounds, now=lambda: measured(plan.ours), before=lambda: measured(before))
    figures = []
    for what in now[0]:
        ours, theirs = tuple(one[what] for one in now), tuple(one[what] for one in then)
        rate = what.startswith("deliveries")
        targets = (at_least_times_peer(1 / DEARER),) if rate else dearer
        figures.append(Figure(what, "M/s" if rate else "µs", ours, "before", theirs, targets))
    return figures
