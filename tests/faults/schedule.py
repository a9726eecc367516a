"""Which faults a run has, and when: decided by the seed alone, before it begins.

Pure. Faults are planned in lanes: what happens to links, to the gateways, to the producers, to Redis and to the links
to it, what visitors do, and what is done to the application behind the webhook, each goes its own way, one fault after
the other, so that a gateway may be killed while a link is a black hole, but not while it is frozen.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Lane = Literal["links", "gateway", "producers", "redis", "redis links", "visitors", "application"]
LANES: tuple[Lane, ...] = ("links", "gateway", "producers", "redis", "redis links", "visitors", "application")

SPACING = (0.3, 1.5)
"""Seconds between the faults of a lane, by chance."""

LONGEST_SHARE, LONGEST_AT_LEAST = 0.2, 8.0
"""No fault acts longer than this share of a run, or than so many seconds in a short one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Args:
        lane: what it is done to.
        seconds: how long it acts, from and to; (0, 0) for what happens at once.
        recovery: seconds the lane rests after it, for instance until a gateway is up again.
        needs: what the machine or the run must have; see `options.possible`.
    """

    lane: Lane
    seconds: tuple[float, float]
    recovery: float = 0.0
    needs: frozenset[str] = frozenset()


KINDS: dict[str, Kind] = {
    "latency": Kind("links", (1, 4)),
    "throttle": Kind("links", (1, 4)),
    "slicer": Kind("links", (1, 2)),
    "pause": Kind("links", (1, 4)),
    "cut": Kind("links", (0, 0)),
    "limit_data": Kind("links", (1, 2)),
    "blackhole": Kind("links", (1, 6)),
    "half_open_up": Kind("links", (1, 6)),
    "half_open_down": Kind("links", (1, 6)),
    "slow_reader": Kind("links", (1, 4)),
    "storm": Kind("links", (1, 3), recovery=1),
    "gateway_kill": Kind("gateway", (0.2, 1.5), recovery=3),
    "gateway_kill_at": Kind("gateway", (0, 0), recovery=3, needs=frozenset({"strace"})),
    "gateway_drain": Kind("gateway", (0.2, 1.5), recovery=3),
    "gateway_drain_cut_short": Kind("gateway", (0.05, 1.5), recovery=3),
    "gateway_freeze": Kind("gateway", (0.5, 6), recovery=2),
    "worker_kill": Kind("gateway", (0, 0), recovery=3, needs=frozenset({"workers"})),
    "worker_freeze": Kind("gateway", (0.5, 20), recovery=2, needs=frozenset({"workers"})),
    "workers_kill": Kind("gateway", (0, 0), recovery=2, needs=frozenset({"workers", "links"})),
    "worker_behind": Kind("gateway", (0.5, 3), recovery=2, needs=frozenset({"workers", "links"})),
    "parent_kill": Kind("gateway", (0.2, 1.5), recovery=3, needs=frozenset({"workers"})),
    "parent_freeze": Kind("gateway", (0.5, 20), recovery=2, needs=frozenset({"workers", "links"})),
    "parent_files": Kind("gateway", (1, 4), recovery=2, needs=frozenset({"workers", "links"})),
    "link_cut": Kind("gateway", (0, 0), recovery=1, needs=frozenset({"workers", "links"})),
    "link_narrow": Kind("gateway", (1, 4), recovery=1, needs=frozenset({"workers", "links"})),
    "link_address_gone": Kind("gateway", (0, 0), recovery=1, needs=frozenset({"workers", "links"})),
    "disk_full": Kind("gateway", (2, 4), recovery=2, needs=frozenset({"tmpfs", "file"})),
    "fsync_error": Kind("gateway", (2, 4), recovery=3, needs=frozenset({"strace", "file", "synced"})),
    "directory_gone": Kind("gateway", (1, 3), recovery=2, needs=frozenset({"file", "no tmpfs"})),
    "clock_step": Kind("gateway", (1, 3), recovery=1, needs=frozenset({"clock"})),
    "publisher_kill": Kind("producers", (0, 0), recovery=1),
    "publisher_cut": Kind("producers", (0, 0)),
    "publisher_blackhole": Kind("producers", (1, 4)),
    "publisher_answer_lost": Kind("producers", (0.05, 0.3)),
    "publisher_latency": Kind("producers", (1, 3)),
    "redis_kill": Kind("redis", (0.2, 2), recovery=2, needs=frozenset({"redis"})),
    "redis_freeze": Kind("redis", (2, 30), recovery=2, needs=frozenset({"redis"})),
    "redis_flush": Kind("redis", (0, 0), recovery=2, needs=frozenset({"redis"})),
    "redis_client_kill": Kind("redis", (0, 0), recovery=1, needs=frozenset({"redis"})),
    "redis_out_of_memory": Kind("redis", (1, 3), recovery=1, needs=frozenset({"redis"})),
    "redis_read_only": Kind("redis", (1, 3), recovery=2, needs=frozenset({"redis"})),
    "redis_buffer_overflow": Kind("redis", (1, 3), recovery=1, needs=frozenset({"redis"})),
    "redis_garbage": Kind("redis", (0.5, 3), recovery=2, needs=frozenset({"redis"})),
    "redis_script_flush": Kind("redis", (0, 0), recovery=1, needs=frozenset({"redis"})),
    "redis_failover_lost_tail": Kind("redis", (0.2, 3), recovery=3, needs=frozenset({"redis"})),
    "cluster_kill": Kind("redis", (0.2, 2), recovery=5, needs=frozenset({"cluster"})),
    "cluster_lost_tail": Kind("redis", (0.2, 3), recovery=6, needs=frozenset({"cluster"})),
    "cluster_takeover": Kind("redis", (0.2, 3), recovery=2, needs=frozenset({"cluster"})),
    "cluster_failover": Kind("redis", (0, 0), recovery=1, needs=frozenset({"cluster"})),
    "cluster_move": Kind("redis", (0.2, 4), recovery=1, needs=frozenset({"cluster"})),
    "cluster_freeze": Kind("redis", (3, 10), recovery=2, needs=frozenset({"cluster"})),
    "cluster_stall": Kind("redis", (0.3, 1), recovery=1, needs=frozenset({"cluster"})),
    "cluster_restart": Kind("redis", (0, 0.3), recovery=2, needs=frozenset({"cluster"})),
    "cluster_client_kill": Kind("redis", (0, 0), recovery=1, needs=frozenset({"cluster"})),
    "cluster_flush": Kind("redis", (0, 0), recovery=2, needs=frozenset({"cluster"})),
    "redis_rolled_back": Kind("gateway", (1, 4), recovery=3, needs=frozenset({"redis to itself"})),
    "redis_link_cut": Kind("redis links", (0, 0), recovery=1, needs=frozenset({"redis"})),
    "redis_link_blackhole": Kind("redis links", (1, 6), recovery=1, needs=frozenset({"redis"})),
    "redis_link_latency": Kind("redis links", (1, 4), recovery=1, needs=frozenset({"redis"})),
    "visitors_leave": Kind("visitors", (1, 3)),
    "visitors_reload": Kind("visitors", (1, 3)),
    "visitors_ask": Kind("visitors", (2, 4), recovery=0.5),
    "visitors_waver": Kind("visitors", (0.5, 2)),
    "application_kill": Kind("application", (0.1, 0.5), recovery=2, needs=frozenset({"application"})),
    "application_freeze": Kind("application", (0.5, 3), recovery=1, needs=frozenset({"application"})),
    "application_answer_lost": Kind("application", (0.05, 0.3), recovery=1, needs=frozenset({"application"})),
}

NETWORK = tuple(name for name, kind in KINDS.items() if kind.lane in ("links", "producers"))
PROCESSES = ("gateway_kill", "gateway_kill_at", "gateway_drain", "gateway_drain_cut_short", "gateway_freeze")
WORKERS = ("worker_kill", "worker_freeze", "parent_kill")
WORKER_LINKS = tuple(name for name, kind in KINDS.items() if "links" in kind.needs)
STORAGE = ("disk_full", "fsync_error")
VISITORS = tuple(name for name, kind in KINDS.items() if kind.lane == "visitors")
APPLICATION = tuple(name for name, kind in KINDS.items() if kind.lane == "application")
REDIS = tuple(name for name, kind in KINDS.items() if "redis" in kind.needs)
REDIS_LOSES = ("redis_flush", "redis_garbage", "redis_failover_lost_tail")
REDIS_KEEPS = tuple(name for name in REDIS if name not in REDIS_LOSES)
REDIS_LINKS = tuple(name for name in REDIS if KINDS[name].lane == "redis links")
CLUSTER = tuple(name for name, kind in KINDS.items() if "cluster" in kind.needs)
CLUSTER_LOSES = ("cluster_kill", "cluster_lost_tail", "cluster_takeover", "cluster_freeze", "cluster_flush")
CLUSTER_KEEPS = tuple(name for name in CLUSTER if name not in CLUSTER_LOSES)


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault of a run.

    Args:
        number: its place in the plan, from 1.
        at: seconds after the warm-up.
        kind: its name in `KINDS`.
        seconds: how long it acts.
        seed: what its further choices are drawn from: whom it hits, how hard.
    """

    number: int
    at: float
    kind: str
    seconds: float
    seed: int

    @property
    def over(self) -> float:
        """Seconds after the warm-up at which the lane has recovered from it."""
        return self.at + self.seconds + KINDS[self.kind].recovery

    @property
    def lane(self) -> Lane:
        return KINDS[self.kind].lane


def plan(seed: int, kinds: Collection[str], seconds: float) -> list[Planned]:
    """Return the faults of a run in the order of time.

    Each lane goes through its kinds in a random order, through all of them before one comes again.

    Args:
        seed: the same seed gives the same plan.
        kinds: names in `KINDS`.
        seconds: from the first fault to the end of the last.
    """
    chance = random.Random(seed)
    longest = max(LONGEST_AT_LEAST, LONGEST_SHARE * seconds)
    planned: list[Planned] = []
    for lane in LANES:
        names = sorted(name for name in kinds if KINDS[name].lane == lane)
        planned += _lane(chance, names, seconds, longest) if names else []
    planned.sort(key=lambda fault: fault.at)
    return [Planned(number, fault.at, fault.kind, fault.seconds, fault.seed) for number, fault in enumerate(planned, 1)]


def _lane(chance: random.Random, names: list[str], seconds: float, longest: float) -> list[Planned]:
    planned: list[Planned] = []
    at = chance.uniform(*SPACING)
    waiting: list[str] = []
    while True:
        if not waiting:
            waiting = chance.sample(names, len(names))
        kind = KINDS[waiting[-1]]
        shortest, most = kind.seconds
        lasts = chance.uniform(shortest, min(most, longest))
        if at + lasts > seconds:
            return planned
        planned.append(Planned(0, round(at, 3), waiting.pop(), round(lasts, 3), chance.getrandbits(32)))
        at = planned[-1].over + chance.uniform(*SPACING)
