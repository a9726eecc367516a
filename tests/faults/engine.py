"""The Redis of a run: a primary, a replica where a failover is planned, and a link to the primary for each who uses it.

The links are proxies, so that they can be cut, and so that the primary's address leads to the promoted replica after a
failover, as a virtual address does. Owns servers and links, and knows when something is being done to them.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from tests.faults.disturbances import Disturbances
from tests.faults.producers import Way
from tests.faults.proxy import Faults, Proxy
from tests.faults.redis_server import RedisServer

SYNC_SECONDS = 20.0
"""Seconds within which a replica has all its primary has."""

WRITE_SECONDS = 15.0
"""Seconds a primary that is to be lost waits until somebody has written to it."""


class Engine(Disturbances):
    """One Redis, as gateways see it.

    Args:
        directory: for the files of the servers.
        fsync: `always` or `everysec`.
        nodes: how many gateways have a link to it.
        direct: how many producers have.
        replicated: whether a replica follows the primary.
        chance: where the choices of the links come from.

    Attributes:
        links: of the gateways, one each.
        producer_links: of the producers that push straight to it, one each.
        primary: the server the links lead to.
    """

    def __init__(
        self, directory: Path, fsync: str, nodes: int, *, direct: int = 0, replicated: bool, chance: random.Random
    ) -> None:
        super().__init__()
        places = [directory / "redis-1", directory / "redis-2"][: 1 + replicated]
        for place in places:
            place.mkdir()
        servers = [RedisServer(place, fsync) for place in places]
        self.primary = servers[0]
        links = [Proxy(self.primary.port, chance=random.Random(chance.getrandbits(32))) for _ in range(nodes + direct)]
        self.links, self.producer_links = links[:nodes], links[nodes:]
        self._replica = servers[1] if replicated else None
        self._replication = Proxy(self.primary.port)

    @property
    def urls(self) -> list[str]:
        """Where each gateway finds it."""
        return [_url(link) for link in self.links]

    @property
    def ways(self) -> list[Way]:
        """How each producer reaches it that pushes straight to it."""
        return [Way(_url(link), link) for link in self.producer_links]

    @property
    def replicated(self) -> bool:
        return self._replica is not None

    @property
    def cut_off(self) -> bool:
        """Whether the replica gets nothing at the moment."""
        return self._replication.faults.paused

    async def start(self) -> None:
        """Start the servers and listen on the links."""
        await self.primary.start()
        for link in self._all_links():
            await link.start()
        if self._replica is not None:
            await self._replica.start()
            await self._follow()

    async def stop(self) -> None:
        """End everything."""
        for link in self._all_links():
            await link.stop()
        for server in self._servers():
            await server.kill()

    def _all_links(self) -> list[Proxy]:
        return [*self.links, *self.producer_links, self._replication]

    def _servers(self) -> list[RedisServer]:
        return [self.primary] if self._replica is None else [self.primary, self._replica]

    # What is done to it.

    async def restart(self, down: float) -> bool:
        """Kill the primary and start it again with its file; return whether it ran."""
        killed = await self.primary.kill()
        await asyncio.sleep(down)
        await self.primary.start()
        return killed

    async def fail_over(self, seconds: float) -> int:
        """Let the replica take the primary's place without what was written in the last `seconds`.

        The old primary becomes the replica, as empty as a machine that was set up anew.

        Returns:
            How many bytes of its primary's log of writes the replica had not seen.
        """
        assert self._replica is not None
        await self._in_sync()
        self._replication.set(Faults(paused=True))
        await asyncio.sleep(seconds)
        behind = await self._behind()
        await self.primary.kill()
        old, self.primary = self.primary, self._replica
        await self.primary.ask("REPLICAOF", "NO", "ONE")
        self._replication.cut()
        for link in self._all_links():
            link.targets = (self.primary.port,)
        self._replication.heal()
        await old.empty()
        self._replica = old
        await old.start()
        await self._follow()
        return behind

    async def _behind(self) -> int:
        """Return how many bytes the replica lacks; where nobody could write until now, wait for somebody."""
        assert self._replica is not None
        has = int((await self._replica.info("replication"))["slave_repl_offset"])
        over = time.monotonic() + WRITE_SECONDS
        while True:
            behind = int((await self.primary.info("replication"))["master_repl_offset"]) - has
            if behind or time.monotonic() > over:
                return behind
            await asyncio.sleep(0.05)

    async def _follow(self) -> None:
        assert self._replica is not None
        await self._replica.ask("REPLICAOF", "127.0.0.1", self._replication.port)
        await self._in_sync()

    async def _in_sync(self) -> None:
        """Wait until the replica has what the primary had a moment ago."""
        assert self._replica is not None
        over = time.monotonic() + SYNC_SECONDS
        goal = int((await self.primary.info("replication"))["master_repl_offset"])
        while True:
            found = await self._replica.info("replication")
            if found.get("master_link_status") == "up" and int(found["slave_repl_offset"]) >= goal:
                return
            assert time.monotonic() < over, "the replica does not catch up"
            await asyncio.sleep(0.05)


def _url(link: Proxy) -> str:
    return f"redis://127.0.0.1:{link.port}"
