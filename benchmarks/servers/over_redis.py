"""Ours past one machine: gateways, each a node with one worker, over one Redis that begins empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.servers import redis
from benchmarks.servers.base import Running, Server, running
from benchmarks.servers.gateway import with_flags


class Used(NamedTuple):
    """Seconds of CPU, of all gateways together and of Redis."""

    gateways: float
    redis: float

    def since(self, before: Used) -> Used:
        """What was used from then until now."""
        return Used(self.gateways - before.gateways, self.redis - before.redis)


@dataclass(frozen=True, slots=True)
class OverRedis:
    """Redis and the nodes over it, all running.

    Args:
        redis: the process of Redis.
        gateways: the nodes' processes.
    """

    redis: Running
    gateways: tuple[Running, ...]

    def used(self) -> Used:
        """What they have used so far."""
        return Used(sum(each.cpu_seconds() for each in self.gateways), self.redis.cpu_seconds())

    @property
    def server(self) -> Server:
        """The first node, to a crowd that is dealt out over all of them."""
        first, *others = (each.server for each in self.gateways)
        return replace(first, subscribe=replace(first.subscribe, other_ports=tuple(each.port for each in others)))


@contextmanager
def over_redis(scratch: Path, nodes: int = 1) -> Iterator[OverRedis]:
    """Start Redis and so many nodes, and end them afterwards, Redis last.

    Raises:
        ServerFailed: one of them does not start.
    """
    with ExitStack() as stack:
        server = redis.redis(scratch)
        process = stack.enter_context(redis.running_redis(server, scratch))
        node = with_flags("--broker", redis.url(server))
        gateways = tuple(stack.enter_context(running(node(scratch), scratch)) for _ in range(nodes))
        yield OverRedis(process, gateways)
