"""Two workers beside one: what a push and a connect gain or lose by crossing to the parent and back."""

from __future__ import annotations

from benchmarks.crowd import crowd
from benchmarks.figures import Figure, at_least, at_least_times_peer, at_most_times_peer
from benchmarks.plan import Plan
from benchmarks.pushing import one_after_another, our_flow, push
from benchmarks.servers.gateway import with_flags
from benchmarks.suite import burst
from benchmarks.turns import Side, both, sample_in_turns

CONNECTIONS, PUSHES, USERS = 300, 600, 100  # of one small turn
TWO = ("--workers", "2")
METHOD = (
    "The gateway with --workers 2 and with one, both with the durable broker. Both run at once and are loaded in "
    f"small turns: {PUSHES} pushes one after another through Flow to nobody; {CONNECTIONS} connects of distinct users "
    "(upgrade, token, `#user` with presence, `*`, one channel), 200 being opened at a time, CPU of all processes until "
    "all are subscribed; how many of them the less busy of the two workers took, of an even share. A burst of "
    f"{burst.PUBLISHERS} publishers to {burst.SUBSCRIBERS} subscribers in alternating rounds, fresh processes. With "
    "ZeroMQ as the link two workers pushed at 0.22 of one worker's rate, connected at 1.6 to 2.7 times its CPU and "
    "delivered 0.67 of its burst."
)


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    two = with_flags(*TWO)
    turns = plan.of(short=9, full=40)
    shares: list[float] = []

    def connect(side: Side) -> float:
        used = side.process.cpu_seconds()
        with crowd(side.server, CONNECTIONS, plan.scratch):
            cost = (side.process.cpu_seconds() - used) / CONNECTIONS * 1e6
            if side.server.port == sides[0].server.port:
                shares.append(even_share(side))
        return cost

    with both(plan, plan.ours, two) as sides:
        pushing = sample_in_turns(sides, turns, push_rate)
        push_cost = sample_in_turns(sides, turns, push_cpu)
        connecting = sample_in_turns(sides, turns, connect)
    bursting, alone = plan.alternate(two=lambda: burst.sample(plan, two), one=lambda: burst.sample(plan, plan.ours))
    one = "one worker"
    return [
        Figure("push, one after another", "/s", pushing.ours, one, pushing.before, (at_least_times_peer(0.75),)),
        Figure("CPU per push, all processes", "µs", push_cost.ours, one, push_cost.before),
        Figure("CPU per connect", "µs", connecting.ours, one, connecting.before, (at_most_times_peer(1.25),)),
        Figure("connections at the less busy worker, of an even share", "", tuple(shares), targets=(at_least(0.7),)),
        Figure(
            f"deliveries, {burst.PUBLISHERS} publishers at once",
            "M/s",
            tuple(each.per_second / 1e6 for each in bursting),
            one,
            tuple(each.per_second / 1e6 for each in alone),
            (at_least_times_peer(0.67),),
        ),
    ]


def push_rate(side: Side) -> float:
    """Pushes a second."""
    return push(one_after_another, side.server.port, _users(), 1).per_second


def push_cpu(side: Side) -> float:
    """Microseconds of server CPU a push."""
    used = side.process.cpu_seconds()
    push(one_after_another, side.server.port, _users(), 1)
    return (side.process.cpu_seconds() - used) / PUSHES * 1e6


def even_share(side: Side) -> float:
    """The connections of the worker that has fewest, of as many as each would have."""
    with our_flow(side.server.port) as flow:
        held = [node.num_clients for node in flow.info()]
    return min(held) / (sum(held) / len(held))


def _users() -> list[str]:
    return [f"user-{number % USERS}" for number in range(PUSHES)]
