"""One Redis that takes writes, as a node uses it: a connection to ask on, one to hear on, a canary between them.

The canary is announced every few seconds. While it does not come back, nothing else would be heard either: the server
says so, and its hearing connection is made anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from messageflow.brokers.redis import scripts
from messageflow.brokers.redis.connections.acl_check import find_missing_permissions
from messageflow.brokers.redis.connections.connector import MakeConnection
from messageflow.brokers.redis.connections.pipelined import PipelinedConnection
from messageflow.brokers.redis.connections.resp import NOT_NOW, Announcing, ErrorReply, Parts
from messageflow.brokers.redis.connections.server_info import ServerInfo, read_server_info
from messageflow.brokers.redis.pubsub.pubsub_connection import CANARY, PubSubConnection, PubSubListener
from messageflow.brokers.redis.tasks import cancel_all, supervise, wait_at_most
from messageflow.errors import BrokerError, Unavailable

log = logging.getLogger("messageflow.broker")

CANARY_EVERY, DEAF_AFTER = 2.0, 8.0  # seconds


class PrimaryServer:
    """One server.

    Args:
        make: returns a connection to it that is yet to be made.
        listener: who hears what is announced.
        canary: returns the name under which the canary is announced here.
        deadline: seconds a command may take.
        announces: how something is announced here.
        on_moved: called when it no longer has all that it had, or cannot be reached.

    Attributes:
        asking: the connection on which it is asked.
        hearing: the names that are heard here.
    """

    def __init__(
        self,
        make: MakeConnection,
        listener: PubSubListener,
        canary: Callable[[PrimaryServer], str],
        *,
        deadline: float,
        announces: Announcing,
        on_moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._listener = listener
        self._canary = canary
        self._on_moved = on_moved
        self._refusal = ""  # what the last canary was answered, if not what it should
        self._is_back = asyncio.Event()  # a connection is there again, and it is time for a canary
        self._tasks: list[asyncio.Task[None]] = []
        self.announces = announces
        self.asking = PipelinedConnection(make, deadline=deadline, on_connected=self._asked_again, on_lost=self._lost)
        self.hearing = PubSubConnection(
            make,
            listener,
            deadline=deadline,
            announces=announces,
            on_connected=self._is_back.set,
            on_lost=self._lost,
            on_moved=on_moved,
        )

    async def start(self) -> None:
        """Connect.

        Raises:
            BrokerError: it cannot be reached, or refuses.
        """
        await self.asking.start()
        await self.hearing.link.start()
        self._tasks = [supervise(self._announce_canaries, "redis-canary")]

    def begin(self) -> None:
        """Connect as soon as it can be reached."""
        self.asking.begin()
        self.hearing.link.begin()
        self._tasks = [supervise(self._announce_canaries, "redis-canary")]

    async def close(self) -> None:
        """Let go of it."""
        await cancel_all(self._tasks)
        await self.hearing.link.close()
        await self.asking.close()

    @property
    def trouble(self) -> str:
        """Why it cannot be relied on now; empty while it can."""
        for link in (self.asking, self.hearing.link):
            if not link.is_up:
                return f"Redis cannot be reached: {link.lost}"
        if self._refusal:
            return self._refusal
        return "what is announced in Redis does not arrive" if _is_silent_since(self.hearing.canary_at) else ""

    @property
    def times_lost(self) -> int:
        """How often a connection to it was lost."""
        return self.asking.times_lost + self.hearing.link.times_lost

    # Asking

    async def ask(self, commands: Sequence[Parts]) -> list[Any]:
        """Return a reply to each command; a `BrokerError` where there is none."""
        try:
            replies = await self.asking.ask(commands)
        except BrokerError as error:
            return [error] * len(commands)
        for index, reply in enumerate(replies):
            if not isinstance(reply, ErrorReply):
                continue
            if reply.word == "READONLY":
                log.warning("redis_is_a_replica_now")
                self.asking.sever("it is a replica now")  # who takes writes is found out when connecting
                self.hearing.link.sever("it is a replica now")
                break
            if reply.word in NOT_NOW:
                replies[index] = Unavailable(f"Redis cannot do it now: {reply.text}")
        return replies

    async def inspect(self, prefix: str) -> ServerInfo:
        """Ask it about itself, and try all that will be asked of it under a prefix.

        Raises:
            BrokerError: it does not answer.
        """
        found = await read_server_info(self.asking.ask_one)
        return found._replace(hindrances=(*found.hindrances, *await find_missing_permissions(self.asking.ask, prefix)))

    def _asked_again(self) -> None:
        for script in scripts.ALL:
            self.asking.expect("SCRIPT", "LOAD", script.text)
        self._is_back.set()
        self._listener.on_back()

    def _lost(self) -> None:
        self._listener.on_lost()
        self._on_moved()

    # The canary

    async def _announce_canaries(self) -> None:
        """Announce to itself until cancelled; a connection on which that does not arrive is made anew."""
        hearing, name = self.hearing, ""
        while True:
            if (wanted := self._canary(self)) != name:
                if name:
                    hearing.drop(name)
                name = wanted
                hearing.take(name)
                hearing.flush()
            # A Redis that loads its file announces, and does nothing else: so something is read, too.
            replies = await self.ask([self.announces.of(name, CANARY).parts, ("GET", name)])
            self._refusal = next((str(reply) for reply in replies if isinstance(reply, BrokerError)), "")
            if self._refusal:
                log.warning("canary_not_sent", extra={"error": self._refusal})
            await wait_at_most(self._is_back, CANARY_EVERY)
            if hearing.link.is_up and _is_silent_since(max(hearing.canary_at, hearing.connected_at)):
                log.error("deaf")
                hearing.link.sever("what is announced does not arrive")


def _is_silent_since(moment: float) -> bool:
    return time.monotonic() - moment > DEAF_AFTER
