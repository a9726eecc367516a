"""Today beside another commit: did anything that people wait for become dearer?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.crowd import crowd
from benchmarks.figures import Figure, at_least_times_peer, at_most_times_peer
from benchmarks.plan import MakeServer, Plan
from benchmarks.publishing import publish_in_sequence
from benchmarks.pushing import BATCH, in_batches, one_after_another, push
from benchmarks.servers.base import Server
from benchmarks.servers.gateway import IN_MEMORY
from benchmarks.suite import burst, fanout
from benchmarks.turns import Cost, both, idle_together, take_turns

DEARER = 1.03
"""How much more a thing may cost: what alternating rounds on a machine like this cannot tell from nothing."""

HOLD: Mapping[str, Mapping[str, float]] = {
    "8c19133": {"connect": 0.62, "push": 0.65, "idle": 0.8},  # the commit before the front door
    "070aee1": {"batch": 1 / 1.5},  # the one before publishes were begun without a coroutine
}
"""What is to cost how much less than at some commits."""

CONNECTIONS, PUSHES, USERS = 300, 600, 100  # of one small turn
BATCHES = 10
IDLE_CONNECTIONS = 10_000
RATE = "deliveries, 32 publishers at once"

METHOD = (
    "The gateway of this checkout and that of the commit named by --against, on the same interpreter and libraries, "
    f"with their durable broker. Both run at once and are loaded in small turns: {CONNECTIONS} connects (upgrade, "
    f"token, `#user`, `*`, one channel), {PUSHES} pushes one after another through Flow to nobody, and as many "
    "publishes by the standard library's http.client, so that the publisher is the same too. Then both hold "
    f"{IDLE_CONNECTIONS:,} connections over the same ping intervals. One publish at a time to 1,000 subscribers, and a "
    "burst of 32 publishers to them, in alternating rounds with fresh processes, beside the other's memory broker too. "
    "A ratio is the median of the turns' ratios."
)


def run(plan: Plan, before: MakeServer, commit: str = "") -> list[Figure]:
    """Measure."""
    return [*in_small_turns(plan, before, HOLD.get(commit, {})), *in_rounds(plan, before)]


def in_small_turns(plan: Plan, before: MakeServer, hold: Mapping[str, float]) -> list[Figure]:
    """What one connect, push, publish costs, and idling."""
    turns = plan.of(short=15, full=60)

    def connect(server: Server) -> None:
        with crowd(server, CONNECTIONS, plan.scratch):
            pass

    def push_all(server: Server) -> None:
        push(one_after_another, server.port, [f"user-{number % USERS}" for number in range(PUSHES)], 1)

    def push_batches(server: Server) -> None:
        push(in_batches, server.port, [f"user-{number % USERS}" for number in range(BATCHES * BATCH)], 1)

    def publish(server: Server) -> None:
        publish_in_sequence(server, PUSHES)

    with both(plan, before) as sides:
        connecting = take_turns(sides, turns, CONNECTIONS, connect)
        pushing = take_turns(sides, turns, PUSHES, push_all)
        publishing = take_turns(sides, turns, PUSHES, publish)
        batching = take_turns(sides, turns, BATCHES * BATCH, push_batches)
    with both(plan, before) as sides:
        idling = idle_together(sides, IDLE_CONNECTIONS, plan.of(short=2, full=8), plan)
    return [
        cost("CPU per connect: upgrade, token, three subscriptions", connecting, most=hold.get("connect")),
        cost("CPU per push, one after another", pushing, most=hold.get("push")),
        cost("CPU per publish, one after another", publishing, most=hold.get("push")),
        cost(f"CPU per push in a batch of {BATCH}", batching, most=hold.get("batch")),
        cost(f"idle CPU, {IDLE_CONNECTIONS:,} connections, pings on", idling, "% of a core", hold.get("idle")),
    ]


def cost(what: str, found: Cost, unit: str = "µs", most: float | None = None) -> Figure:
    """A figure of what either side costs."""
    return Figure(what, unit, found.ours, "before", found.before, (at_most_times_peer(most or DEARER),))


def in_rounds(plan: Plan, before: MakeServer) -> list[Figure]:
    """What a delivery costs."""
    rounds, publications = plan.of(short=5, full=15), plan.of(short=300, full=1_000)

    def measured(side: MakeServer) -> dict[str, float]:
        bursting = burst.sample(plan, side)
        return {
            "CPU per delivery, one publish at a time": fanout.server_cost(plan, side, publications),
            "CPU per delivery, 32 publishers at once": bursting.cpu_us,
            RATE: bursting.per_second / 1e6,
        }

    def in_memory(home: Path) -> Server:
        server = before(home)
        return replace(server, command=(*server.command, *IN_MEMORY))

    now, then, memory = plan.alternate(
        rounds,
        now=lambda: measured(plan.ours),
        before=lambda: measured(before),
        memory_before=lambda: {RATE: burst.sample(plan, in_memory).per_second / 1e6},
    )
    figures = []
    for what in now[0]:
        ours, theirs = tuple(one[what] for one in now), tuple(one[what] for one in then)
        rate = what == RATE
        target = at_least_times_peer(1 / DEARER) if rate else at_most_times_peer(DEARER)
        figures.append(Figure(what, "M/s" if rate else "µs", ours, "before", theirs, (target,)))
    durable, alone = tuple(one[RATE] for one in now), tuple(one[RATE] for one in memory)
    beside = (at_least_times_peer(1.0),)
    return [*figures, Figure("the same beside memory alone", "M/s", durable, "before, in memory", alone, beside)]
