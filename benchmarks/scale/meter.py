"""What a running system has used, and what of it a phase took.

Reads CPU and memory of the gateways and of Redis, and what Redis counts about itself. It never loads anything.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from benchmarks.scale.fitting import Observation
from benchmarks.scale.model import KEPT_BY, Resource, Unit, checks_a_second
from benchmarks.servers.over_redis import System, alone, over_redis

REDIS_COUNTS = {
    Resource.REDIS_COMMANDS: "total_commands_processed",
    Resource.REDIS_IN: "total_net_input_bytes",
    Resource.REDIS_OUT: "total_net_output_bytes",
    Resource.REDIS_MEMORY: "used_memory",
}
SETTLE_LOOKS, SETTLE_SECONDS, BUSY_SHARE = 60, 0.5, 0.08
REST_SECONDS, STILL_BYTES = 1.0, 65_536


@contextmanager
def started(scratch: Path, nodes: int) -> Iterator[System]:
    """A system of so many nodes over Redis; of one with its embedded broker for 0."""
    with over_redis(scratch, nodes) if nodes else alone(scratch) as system:
        yield system


class Meter:
    """Measures the phases of one system.

    Args:
        system: what runs.
        ping_interval: seconds between the pings of a connection.

    Attributes:
        connected: how many connections there are now; the load keeps it.
        channels: how many channels all nodes together have open; the load keeps it.
        phases: what was measured.
    """

    def __init__(self, system: System, ping_interval: float) -> None:
        self.connected = 0.0
        self.channels = 0.0
        self.phases: list[Observation] = []
        self._system = system
        self._ping_interval = ping_interval
        self._redis = Redis.from_url(system.redis_url) if system.redis is not None else None
        first, second = self._told(), self._told()
        self._own = {name: second[name] - value for name, value in first.items()}  # what asking costs

    @contextmanager
    def phase(self, name: str, keeps: Collection[Resource] = ()) -> Iterator[dict[Unit, float]]:
        """Measure what happens inside; the load puts down the work it does. What hangs on time counts itself.

        Args:
            name: of the phase.
            keeps: the resources that hold what is done. That of gateways is told by runs of its own, `memory_runs`.
        """
        counts: dict[Unit, float] = {}
        nodes = len(self._system.gateways)
        connected, channels, before, since = self.connected, self.channels, self._used(), time.monotonic()
        yield counts
        after, seconds = self._used(), time.monotonic() - since
        connected, channels = (connected + self.connected) / 2, (channels + self.channels) / 2
        counts[Unit.NODE_SECOND] = seconds * nodes
        counts[Unit.PING] = connected * seconds / self._ping_interval
        if self._redis is not None:
            counts[Unit.CHECK] = checks_a_second(channels / nodes) * nodes * seconds
        usage: dict[Resource, float] = {
            each: value - before[each] - self._own.get(each, 0.0)
            for each, value in after.items()
            if each is not Resource.MEMORY and (each not in KEPT_BY or each in keeps)
        }
        self.phases.append(Observation(name, counts, usage))

    def memory(self) -> float:
        """Resident bytes of the gateways now."""
        return self._used()[Resource.MEMORY]

    def settle(self) -> None:
        """Wait until the gateways have hardly anything to do."""
        for _ in range(SETTLE_LOOKS):
            before = self._system.gateway_seconds()
            time.sleep(SETTLE_SECONDS)
            if self._system.gateway_seconds() - before < SETTLE_SECONDS * BUSY_SHARE:
                return

    def memory_at_rest(self) -> float:
        """Resident bytes of the gateways once they have hardly anything to do and the bytes stay the same.

        On a busy machine a gateway that waits for its turn looks idle, and memory still changes.
        """
        self.settle()
        before = self.memory()
        for _ in range(SETTLE_LOOKS):
            time.sleep(REST_SECONDS)
            now = self.memory()
            if abs(now - before) < STILL_BYTES:
                break
            before = now
        return now

    def _used(self) -> dict[Resource, float]:
        used = self._system.used()
        found = {
            Resource.CPU: used.gateways * 1e6,
            Resource.MEMORY: float(sum(each.rss_bytes() for each in self._system.gateways)),
        }
        if self._redis is not None:
            found[Resource.REDIS_CPU] = used.redis * 1e6
        return found | self._told()

    def _told(self) -> dict[Resource, float]:
        """What Redis says of itself."""
        if self._redis is None:
            return {}
        said: Mapping[str, float] = self._redis.info("stats") | self._redis.info("memory")
        return {resource: float(said[name]) for resource, name in REDIS_COUNTS.items()}
