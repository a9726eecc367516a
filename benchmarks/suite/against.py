"""Today beside another commit: did anything that people wait for become dearer?"""

from __future__ import annotations

from benchmarks.crowd import crowd
from benchmarks.figures import Figure, at_least_times_peer, at_most_times_peer
from benchmarks.plan import MakeServer, Plan
from benchmarks.publishing import publish_in_sequence
from benchmarks.pushing import one_after_another, push
from benchmarks.servers.base import Server
from benchmarks.suite import burst, fanout
from benchmarks.turns import Cost, both, idle_together, take_turns

DEARER = 1.03
"""How much more a thing may cost: what alternating rounds on a machine like this cannot tell from nothing."""

CONNECTIONS, PUSHES, USERS = 300, 600, 100  # of one small turn
IDLE_CONNECTIONS = 10_000

METHOD = (
    "The gateway of this checkout and that of the commit named by --against, on the same interpreter and libraries, "
    f"with their durable broker. Both run at once and are loaded in small turns: {CONNECTIONS} connects (upgrade, "
    f"token, `#user`, `*`, one channel), {PUSHES} pushes one after another through Flow to nobody, and as many "
    "publishes by the standard library's http.client, so that the publisher is the same too. Then both hold "
    f"{IDLE_CONNECTIONS:,} connections over the same ping intervals. One publish at a time to 1,000 subscribers, and a "
    "burst of 32 publishers to them, in alternating rounds with fresh processes. A ratio is the median of the turns' "
    "ratios."
)


def run(plan: Plan, before: MakeServer) -> list[Figure]:
    """Measure."""
    return [*in_small_turns(plan, before), *in_rounds(plan, before)]


def in_small_turns(plan: Plan, before: MakeServer) -> list[Figure]:
    """What one connect, push, publish costs, and idling."""
    turns = plan.of(short=15, full=60)

    def connect(server: Server) -> None:
        with crowd(server, CONNECTIONS, plan.scratch):
            pass

    def push_all(server: Server) -> None:
        push(one_after_another, server.port, [f"user-{number % USERS}" for number in range(PUSHES)], 1)

    def publish(server: Server) -> None:
        publish_in_sequence(server, PUSHES)

    with both(plan, before) as sides:
        connecting = take_turns(sides, turns, CONNECTIONS, connect)
        pushing = take_turns(sides, turns, PUSHES, push_all)
        publishing = take_turns(sides, turns, PUSHES, publish)
    with both(plan, before) as sides:
        idling = idle_together(sides, IDLE_CONNECTIONS, plan.of(short=2, full=8), plan)
    return [
        cost("CPU per connect: upgrade, token, three subscriptions", connecting),
        cost("CPU per push, one after another", pushing),
        cost("CPU per publish, one after another", publishing),
        cost(f"idle CPU, {IDLE_CONNECTIONS:,} connections, pings on", idling, "% of a core"),
    ]


def cost(what: str, found: Cost, unit: str = "µs") -> Figure:
    """A figure of what either side costs."""
    return Figure(what, unit, found.ours, "before", found.before, (at_most_times_peer(DEARER),))


def in_rounds(plan: Plan, before: MakeServer) -> list[Figure]:
    """What a delivery costs."""
    rounds, publications = plan.of(short=5, full=15), plan.of(short=300, full=1_000)

    def measured(side: MakeServer) -> dict[str, float]:
        bursting = burst.sample(plan, side)
        return {
            "CPU per delivery, one publish at a time": fanout.server_cost(plan, side, publications),
            "CPU per delivery, 32 publishers at once": bursting.cpu_us,
            "deliveries, 32 publishers at once": bursting.per_second / 1e6,
        }

    now, then = plan.alternate(rounds, now=lambda: measured(plan.ours), before=lambda: measured(before))
    figures = []
    for what in now[0]:
        ours, theirs = tuple(one[what] for one in now), tuple(one[what] for one in then)
        rate = what.startswith("deliveries")
        target = at_least_times_peer(1 / DEARER) if rate else at_most_times_peer(DEARER)
        figures.append(Figure(what, "M/s" if rate else "µs", ours, "before", theirs, (target,)))
    return figures
