"""The Redis Cluster of a run: three primaries with a replica each, which keep what they are given in append-only files.

Gateways and producers reach its nodes at their own addresses, since each names the others. Owns the servers. What
blocks runs in threads; nobody asks a server that stands still.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from redis.crc import key_slot

from tests.brokers.redis.servers import Cluster, Server, cut_replication, has_caught_up, wait_until
from tests.faults.disturbances import Disturbances
from tests.faults.gateway import state
from tests.faults.producers import Way

T = TypeVar("T")

NODE_TIMEOUT = 2.0
"""Seconds after which the others take a node for dead that does not answer."""

SETTLE_SECONDS = 40.0
"""Seconds within which all is well again, on a machine that has much else to do."""

WRITE_SECONDS = 15.0
"""Seconds a primary that is to be lost waits until somebody has written to it."""


class ClusterEngine(Disturbances):
    """One Cluster, as gateways see it.

    Args:
        directory: for the files of the servers.
        fsync: `always` or `everysec`.
        nodes: how many gateways use it.
        direct: how many producers push straight to it.
        chance: in which order each is told of its nodes.
    """

    def __init__(self, directory: Path, fsync: str, nodes: int, direct: int, chance: random.Random) -> None:
        super().__init__()
        self._directory = directory
        self._fsync = fsync
        self._nodes = nodes
        self._direct = direct
        self._chance = chance
        self._cluster: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """What is there, to ask it; its calls block."""
        assert self._cluster is not None
        return self._cluster

    @property
    def urls(self) -> list[str]:
        """Where each gateway finds it."""
        return [self._url() for _ in range(self._nodes)]

    @property
    def ways(self) -> list[Way]:
        """How each producer reaches it that pushes straight to it."""
        return [Way(self._url()) for _ in range(self._direct)]

    def _url(self) -> str:
        servers = self._chance.sample(self.cluster.servers, len(self.cluster.servers))
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in servers)

    async def start(self) -> None:
        """Start the servers, and return once all slots are served."""
        timeout = str(int(NODE_TIMEOUT * 1000))
        settings = ("--appendonly", "yes", "--appendfsync", self._fsync, "--cluster-node-timeout", timeout)
        self._cluster = await self.in_thread(lambda: Cluster(self._directory, *settings, replicas=True))

    async def stop(self) -> None:
        """End everything."""
        if self._cluster is not None:
            await self.in_thread(self._cluster.stop)

    async def restart(self, down: float) -> bool:
        """Kill all of it, once its replicas have all, and start it again with its files."""
        cluster = self.cluster
        await self.in_thread(lambda: self._wait(lambda: all(map(has_caught_up, cluster.primaries))))
        await self.in_thread(cluster.stop)
        await asyncio.sleep(down)
        for server in cluster.servers:
            await self.in_thread(server.start)
        await self.settled()
        return True

    # What is done to it.

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do what blocks."""
        return await asyncio.to_thread(work)

    async def settled(self) -> None:
        """Return once all know of all, every slot is served, and every primary has its replica."""
        await self.in_thread(lambda: self._wait(self.cluster.is_well))

    @staticmethod
    def _wait(condition: Callable[[], object]) -> None:
        wait_until(condition, SETTLE_SECONDS)

    async def primary(self, chance: random.Random) -> Server:
        """Choose a primary that has streams, and so is written to; where none has any left, one that has keys."""

        def choose() -> Server:
            primaries = self.cluster.primaries
            written = [each for each in primaries if _has_streams(each)]
            return chance.choice(written or [each for each in primaries if _size(each)])

        return await self.in_thread(choose)

    async def take_over(self, victim: Server, down: float) -> bool:
        """Kill a primary, and start it again `down` seconds after its replica has taken its place.

        Returns:
            Whether it did.
        """
        replica = await self.in_thread(lambda: self.cluster.replica_of(victim))
        await self.in_thread(lambda: self.cluster.kill(victim))
        await self.in_thread(lambda: self._wait(lambda: _role(replica) == "master"))
        await asyncio.sleep(down)
        await self.in_thread(victim.start)
        await self.settled()
        return True

    async def lose_tail(self, victim: Server, seconds: float, *, alive: bool = False) -> int:
        """Let a replica that has heard nothing in the last `seconds` take the place of its primary.

        Args:
            victim: the primary; it is killed and started again, and is then the replica.
            seconds: how much it loses.
            alive: it lives on instead, and learns from the others that it is the replica now.

        Returns:
            How many bytes of its primary's log of writes the replica had not seen.
        """
        replica = await self.in_thread(lambda: self.cluster.replica_of(victim))
        await self.in_thread(lambda: self._wait(lambda: has_caught_up(victim)))
        await self.in_thread(lambda: cut_replication(victim, replica))
        await asyncio.sleep(seconds)
        behind = await self.in_thread(lambda: _behind(victim, replica))
        if alive:
            await self.in_thread(lambda: self.cluster.take_over(replica))
        else:
            await self.in_thread(lambda: self.cluster.kill(victim))
            await self.in_thread(lambda: self._wait(lambda: _role(replica) == "master"))
        await self.in_thread(lambda: _allow_replication(replica))
        if not alive:
            await self.in_thread(victim.start)
        await self.settled()
        return behind

    async def hand_over(self, victim: Server) -> None:
        """Let a replica take the place of its living primary, which loses nothing."""
        await self.in_thread(lambda: self.cluster.failover(self.cluster.replica_of(victim)))

    async def move(self, chance: random.Random, slots: int, seconds: float) -> int:
        """Move slots that have keys from one primary to another, within some seconds; return how many keys they had."""
        old = await self.primary(chance)
        to = await self.in_thread(lambda: chance.choice([each for each in self.cluster.primaries if each is not old]))
        used = await self.in_thread(lambda: _used_slots(old))
        chosen = chance.sample(sorted(used), min(slots, len(used)))
        for slot in chosen:
            await self.in_thread(lambda slot=slot: self.cluster.begin_move(slot, to))  # type: ignore[misc]
            await asyncio.sleep(seconds / len(chosen))
            await self.in_thread(lambda slot=slot: self.cluster.end_move(slot, old, to))  # type: ignore[misc]
        await self.settled()
        return sum(used[slot] for slot in chosen)

    async def freeze(self, victim: Server, seconds: float) -> bool:
        """Stop a server for a while; return whether it really stood still."""
        victim.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
            stood = state(victim.process.pid) == "T"
        finally:
            victim.signal(signal.SIGCONT)
        await self.settled()
        return stood

    async def restart_one(self, chance: random.Random, down: float) -> None:
        """Kill any server and start it again, sooner than the others take it for dead."""
        victim = chance.choice(self.cluster.servers)
        await self.in_thread(victim.stop)
        await asyncio.sleep(down)
        await self.in_thread(victim.start)
        await self.settled()


def _role(server: Server) -> str:
    return str(server.info("replication")["role"])


def _has_streams(server: Server) -> bool:
    with server.client() as client:
        return any(True for _ in client.scan_iter(count=1000, _type="stream"))


def _size(server: Server) -> int:
    with server.client() as client:
        return int(client.dbsize())


def _allow_replication(server: Server) -> None:
    with server.client() as client:
        client.config_set("masterauth", "")


def _behind(primary: Server, replica: Server) -> int:
    """Return how many bytes the replica lacks; where nobody could write until now, wait for somebody."""
    has = int(replica.info("replication")["slave_repl_offset"])
    over = time.monotonic() + WRITE_SECONDS
    while True:
        behind = int(primary.info("replication")["master_repl_offset"]) - has
        if behind or time.monotonic() > over:
            return behind
        time.sleep(0.05)


def _used_slots(server: Server) -> dict[int, int]:
    """Return how many keys each slot has, of those that have any."""
    used: dict[int, int] = {}
    with server.client() as client:
        for key in client.keys("*"):
            slot = key_slot(key)
            used[slot] = used.get(slot, 0) + 1
    return used
