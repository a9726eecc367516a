"""Publishing over Redis at one node: pushes a second through `Flow`, and what they cost the gateway and Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.figures import Figure, Target, at_least
from benchmarks.plan import Plan
from benchmarks.publishing import PAYLOAD_BYTES, publish_burst
from benchmarks.pushing import BATCH, AtOnce, Job, in_batches, one_after_another, push
from benchmarks.servers.over_redis import System, over_redis
from benchmarks.servers.redis import SETTINGS_TOLD

USERS = 100
PROCESSES = 2
AT_ONCE = 32
METHOD = (
    f"One gateway over a fresh {SETTINGS_TOLD}, all on loopback; pushes go round {USERS} users' personal channels and "
    f"come back with a receipt once Redis has stored them. One after another: one thread, one Flow. {AT_ONCE} at once: "
    f"{PROCESSES} processes with {AT_ONCE // PROCESSES} AsyncFlow tasks each. Batches of {BATCH}: {PROCESSES} "
    f"processes. By wrk: {AT_ONCE} HTTP connections publish {PAYLOAD_BYTES} bytes in one channel, again and again, at "
    "a client's cost next to nothing. Without a gateway: Flow writes to Redis itself; the gateway that set up what is "
    "kept stands by, and has no subscriber. CPU is what the kernel charged to the gateway, to redis-server and to the "
    "pushing processes; Redis' share of a core is its CPU by the time on the clock. Clients, gateway and Redis share "
    "the machine."
)


class Sample(NamedTuple):
    """One run: pushes a second, microseconds of CPU a push of each, and percent of a core that Redis used."""

    per_second: float
    gateway_us: float
    redis_us: float
    client_us: float | None
    redis_share: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    count = plan.of(short=3_000, full=20_000)
    one, at_once, by_wrk, batched, straight, straight_batched = plan.alternate(
        sequential=lambda: sample(plan, one_after_another, count),
        at_once=lambda: sample(plan, AtOnce(AT_ONCE // PROCESSES), 4 * count, PROCESSES),
        wrk=lambda: sample_by_wrk(plan),
        batches=lambda: sample(plan, in_batches, 20 * count, PROCESSES),
        straight=lambda: sample(plan, AtOnce(AT_ONCE // PROCESSES), 4 * count, PROCESSES, straight=True),
        straight_batches=lambda: sample(plan, in_batches, 20 * count, PROCESSES, straight=True),
    )
    return [
        *figures("one after another", one),
        *figures(f"{AT_ONCE} at once", at_once, at_least(5_000)),
        *figures(f"{AT_ONCE} at once by wrk", by_wrk),
        *figures("in batches", batched, at_least(20_000)),
        *figures(f"{AT_ONCE} at once, without a gateway", straight),
        *figures("in batches, without a gateway", straight_batched),
    ]


def figures(what: str, samples: tuple[Sample, ...], *targets: Target) -> list[Figure]:
    """How many a second, and who spends what on one."""
    gateway, redis = tuple(one.gateway_us for one in samples), tuple(one.redis_us for one in samples)
    found = [
        Figure(f"push over Redis, {what}", "/s", tuple(one.per_second for one in samples), targets=targets),
        Figure(f"gateway CPU per push over Redis, {what}", "µs", gateway, "Redis", redis),
        Figure(f"Redis, share of a core, {what}", "%", tuple(one.redis_share for one in samples)),
    ]
    clients = tuple(one.client_us for one in samples if one.client_us is not None)
    if clients:
        found.append(Figure(f"client CPU per push over Redis, {what}", "µs", clients))
    return found


def sample(plan: Plan, job: Job, count: int, processes: int = 1, *, straight: bool = False) -> Sample:
    """Push through a fresh gateway over a fresh Redis, or `straight` into that Redis.

    Raises:
        MessageflowError: a push was refused, or did not come through.
    """
    users = [f"user-{number % USERS}" for number in range(count)]

    def work(system: System) -> tuple[int, float, float | None]:
        done = push(job, system.redis_url if straight else system.server.port, users, processes)
        return count, done.seconds, done.cpu_seconds

    return measured(plan, work)


def sample_by_wrk(plan: Plan) -> Sample:
    """Publish by wrk through a fresh gateway over a fresh Redis.

    Raises:
        PublishFailed: a publish was refused.
    """

    def work(system: System) -> tuple[int, float, float | None]:
        burst = publish_burst(system.server, plan.of(short=3, full=8), AT_ONCE, plan.scratch)
        return burst.requests, burst.seconds, None

    return measured(plan, work)


def measured(plan: Plan, work: Callable[[System], tuple[int, float, float | None]]) -> Sample:
    """What some work cost; it returns how many pushes it made, in how many seconds, for how much CPU of its own."""
    with over_redis(plan.scratch) as system:
        before = system.used()
        count, seconds, client = work(system)
        used = system.used().since(before)
    return Sample(
        count / seconds,
        used.gateways / count * 1e6,
        used.redis / count * 1e6,
        None if client is None else client / count * 1e6,
        used.redis / seconds * 100,
    )
