"""What a run is, what of it can be done on this machine, and what it must hold.

Pure, but for looking at what the machine has.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tests.faults import worker_links
from tests.faults.machine import Clock, SmallDisk, Strace
from tests.faults.nemesis import CROWD
from tests.faults.redis_server import RedisServer
from tests.faults.schedule import (
    CLUSTER,
    CLUSTER_LOSES,
    KINDS,
    PROCESSES,
    REDIS,
    REDIS_LINKS,
    VISITORS,
    WORKERS,
    Planned,
)
from tests.faults.verdicts import Expectations

MEMORY_BUDGET = 160 * 1024 * 1024
"""Bytes a process of the gateway may hold: 60 MiB for itself, 32 for streams, the rest for buffers and what is read."""

ASKED = 2
"""Of the open channels a reader asks for so many at most, beside the two it has anyway."""

FLAGS = ("--ping-interval", "3s", "--pong-timeout", "2s", "--buffer-high-water", "16KiB", "--stream-memory", "32MiB")

Hooking = Literal["", "process", "webhook"]
HOOK_FLAGS: dict[Hooking, tuple[str, ...]] = {
    "": (),
    "process": ("--hooks", "tests.faults.handled:flow", "--hook-timeout", "3s"),
    "webhook": ("--hook-timeout", "10s"),
}
"""By webhook a gateway waits longer: an application that was killed is away until it has started again."""

CLUSTERED = "redis-cluster"

REDIS_DEADLINE = "1500ms"
"""What a reply of Redis may take: less than a producer waits, so that it is the gateway that says what happened."""

LOSSES = {"redis_flush": 1, "redis_garbage": 2, "cluster_flush": 1, "redis_rolled_back": 1, "directory_gone": 1}
"""What takes away from streams what was acknowledged, and how many new epochs that calls for: readers are told so.
After garbage one when it is found and one when it is cleared away with all of its channel."""

FOUND_LATE = frozenset({"redis_flush", "redis_garbage", "cluster_flush"})
"""What takes away, beside streams, what gateways leave in Redis to find out that it lacks something, as lost tails do.
A process that takes the place of another after that cannot know what else is gone, nor who was told since: it has all
streams go on in new epochs (`redis_went_back_in_time`), once after each loss."""

LOST_TAILS = frozenset({"redis_failover_lost_tail", *CLUSTER_LOSES}) - {"cluster_flush"}
UNSYNCED = frozenset({"redis_kill"})
"""What loses the end of a stream, always and where Redis acknowledges what is not on its disk. A Cluster lets a replica
take over by itself from a primary that is silent for too long, and a replica may lack what was acknowledged last."""

KILLS = frozenset({*PROCESSES, *WORKERS, "workers_kill", "parent_files"}) - {"gateway_freeze", "worker_freeze"}
"""What ends a gateway or a part of it, and with it what it alone had seen of a stream."""

DEAFENING = frozenset({*KILLS, "gateway_freeze", "worker_freeze", *REDIS_LINKS})
"""What may keep gateways from hearing what Redis acknowledges to a producer: where that is lost, nobody else saw it."""

BEHIND = frozenset({*REDIS, *CLUSTER, *VISITORS})
"""What happens behind the gateways, or others do. Where it takes nothing away, readers keep their connections."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is.

    Args:
        seed: decides the plan, the load and the choices of everybody in it.
        seconds: how long faults go on.
        kinds: which faults, by their names in `schedule.KINDS`.
        workers: of each gateway.
        nodes: how many gateways; more than one share a Redis.
        broker: `embedded`, `memory`, `redis` or `redis-cluster`.
        ack: when a push is answered: `os` or `disk`; the memory broker has no choice, and Redis is run so.
        clients: how many readers.
        producers: how many.
        direct: how many of them push straight to Redis, past the gateways.
        rate: publications a second of each producer, about.
        hooks: who handles what pages tell: "process" the gateways, "webhook" an application elsewhere, "" nobody.
    """

    seed: int
    seconds: float
    kinds: tuple[str, ...]
    workers: int = 1
    nodes: int = 1
    broker: str = "embedded"
    ack: str = "os"
    clients: int = 10
    producers: int = 3
    direct: int = 0
    rate: float = 40.0
    hooks: Hooking = ""

    @property
    def durable(self) -> bool:
        """Whether streams outlive a gateway."""
        return self.broker != "memory"

    @property
    def keeps_file(self) -> bool:
        """Whether the gateway itself has them on its disk."""
        return self.broker == "embedded"

    @property
    def with_redis(self) -> bool:
        """Whether streams are in Redis, be it one or a Cluster."""
        return self.broker in ("redis", CLUSTERED)

    @property
    def with_cluster(self) -> bool:
        return self.broker == CLUSTERED

    @property
    def fsync(self) -> str:
        """How Redis syncs, so that it can acknowledge as asked."""
        return "always" if self.ack == "disk" else "everysec"

    def flags(self) -> list[str]:
        """Return the flags of `messageflow serve` that differ from its defaults, without the URL of a Redis."""
        flags = [*FLAGS, *HOOK_FLAGS[self.hooks]]
        if self.workers > 1:
            flags += ["--workers", str(self.workers)]
        if self.with_redis:
            return [*flags, "--broker-deadline", REDIS_DEADLINE]
        if not self.durable:
            return [*flags, "--broker", self.broker]
        return [*flags, "--ack", self.ack] if self.ack != "os" else flags


def hindrance(options: Options) -> str:
    """Return why nothing of this run can be done here; empty when something can."""
    if options.with_redis and not RedisServer.possible():
        return "it takes redis-server"
    if options.nodes > 1 and not options.with_redis:
        return "more than one gateway take --broker redis"
    if options.direct and not options.with_redis:
        return "producers that push straight to Redis take --broker redis"
    if options.direct > options.producers:
        return "more producers are to push straight to Redis than there are"
    return ""


def possible(options: Options) -> tuple[Options, dict[str, str]]:
    """Return the run with the faults that can be done here, and why the others cannot."""
    reasons = {
        "workers": "it takes more than one worker" if options.workers < 2 else "",
        "links": _links_hindrance(options),
        "file": "it takes a broker that keeps a file" if not options.keeps_file else "",
        "redis": "" if options.broker == "redis" else "it takes --broker redis",
        "cluster": "" if options.with_cluster else "it takes --broker redis-cluster",
        "synced": "it takes --ack disk, for else there is little to sync" if options.ack != "disk" else "",
        "redis to itself": _rollback_hindrance(options),
        "no tmpfs": "it is not done to the small disk that disk_full fills" if "disk_full" in options.kinds else "",
        "tmpfs": "",
        "strace": "" if Strace.possible() else "it takes strace, and to be root",
        "application": "" if options.hooks == "webhook" else "it takes --hooks webhook",
        "clock": "" if Clock.possible() else "it takes gcc, to build the clock that can be moved",
    }
    if "disk_full" in options.kinds and not SmallDisk.possible():
        reasons["tmpfs"] = "it takes root and the right to mount a tmpfs"
    missing = {
        kind: reason for kind in options.kinds if (reason := "; ".join(sorted(_reasons(KINDS[kind].needs, reasons))))
    }
    kinds = tuple(kind for kind in options.kinds if kind not in missing)
    return replace(options, kinds=kinds), missing


def _links_hindrance(options: Options) -> str:
    if options.with_redis:
        return "it takes a broker of the parent's: with Redis each worker has its own"
    return "" if worker_links.possible() else "it takes root, and pidfd_getfd"


def _rollback_hindrance(options: Options) -> str:
    if options.broker != "redis":
        return "it takes --broker redis"
    if options.ack == "disk":
        return "it takes --ack os: what Redis has synced does not go back by itself"
    return "nothing else is done to a Redis that goes back in time" if set(options.kinds) & set(REDIS) else ""


def _reasons(needs: Collection[str], reasons: dict[str, str]) -> list[str]:
    return [reasons[need] for need in needs if reasons[need]]


def expectations(options: Options, planned: Sequence[Planned]) -> Expectations:
    """Return what a run with these faults must hold."""
    kinds = frozenset(fault.kind for fault in planned)
    # After a failed sync the gateway may not know what the disk has, and must begin new epochs: once for each reader.
    failed_syncs = sum(fault.kind == "fsync_error" for fault in planned)
    lost_tails = sum(
        fault.kind in (LOST_TAILS if options.ack == "disk" else LOST_TAILS | UNSYNCED) for fault in planned
    )
    losses = lost_tails + sum(LOSSES.get(fault.kind, 0) for fault in planned)
    found_late = lost_tails + sum(fault.kind in FOUND_LATE for fault in planned) if kinds & KILLS else 0
    readers = options.clients + (CROWD if "storm" in kinds else 0)
    resumes = options.clients if kinds else 0
    return Expectations(
        kinds=kinds,
        minimum={
            "acknowledged": int(options.seconds * options.rate * options.producers / 20),
            "received": int(options.seconds * options.rate * options.producers / 10),
            "resumed": resumes,
            "faults": len(planned),
            "memory samples": 3,
            "told and handled": int(options.seconds) if options.hooks else 0,
        },
        memory_budget=MEMORY_BUDGET,
        epochs_kept=options.durable and not losses,
        epochs_most=1 + losses + found_late if options.durable and not failed_syncs else 0,
        tails_lost=lost_tails > 0 or (options.direct > 0 and "redis_rolled_back" in kinds),
        witnesses_lost=lost_tails > 0 and bool(kinds & (DEAFENING if options.direct else KILLS)),
        connections_kept=kinds <= BEHIND and not losses,
        hooks=options.hooks,
        survivors=options.nodes > 1,
        bad_resets_allowed=failed_syncs * readers * (2 + ASKED),
    )
