"""Ours past one machine: gateways, each a node with one worker, over one Redis that begins empty; or one without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.servers import redis
from benchmarks.servers.base import Running, Server, running
from benchmarks.servers.gateway import gateway, with_flags


class Used(NamedTuple):
    """Seconds of CPU, of all gateways together and of Redis."""

    gateways: float
    redis: float

    def since(self, before: Used) -> Used:
        """What was used from then until now."""
        return Used(self.gateways - before.gateways, self.redis - before.redis)


@dataclass(frozen=True, slots=True)
class System:
    """Gateways and the Redis they share, all running.

    Args:
        gateways: the nodes' processes.
        redis: the process of Redis; None when a gateway stands alone.
    """

    gateways: tuple[Running, ...]
    redis: Running | None = None

    def used(self) -> Used:
        """What they have used so far."""
        redis = 0.0 if self.redis is None else self.redis.cpu_seconds()
        return Used(self.gateway_seconds(), redis)

    def gateway_seconds(self) -> float:
        """Seconds of CPU that all gateways together have used so far."""
        return sum(each.cpu_seconds() for each in self.gateways)

    @property
    def redis_url(self) -> str:
        """Where a Flow that needs no gateway writes."""
        assert self.redis is not None
        return redis.url(self.redis.server)

    def port_of(self, number: int) -> int:
        """The port for the connection with this number, when they are dealt out over all nodes."""
        return self.gateways[number % len(self.gateways)].server.port

    @property
    def server(self) -> Server:
        """The first node, to a crowd that is dealt out over all of them."""
        first, *others = (each.server for each in self.gateways)
        return replace(first, subscribe=replace(first.subscribe, other_ports=tuple(each.port for each in others)))


@contextmanager
def over_redis(scratch: Path, nodes: int = 1) -> Iterator[System]:
    """Start Redis and so many nodes, and end them afterwards, Redis last.

    Raises:
        ServerFailed: one of them does not start.
    """
    with ExitStack() as stack:
        server = redis.redis(scratch)
        process = stack.enter_context(redis.running_redis(server, scratch))
        node = with_flags("--broker", redis.url(server))
        gateways = tuple(stack.enter_context(running(node(scratch), scratch)) for _ in range(nodes))
        yield System(gateways, process)


@contextmanager
def alone(scratch: Path) -> Iterator[System]:
    """Start one gateway with its own broker, and end it afterwards.

    Raises:
        ServerFailed: it does not start.
    """
    with running(gateway(scratch), scratch) as process:
        yield System((process,))
