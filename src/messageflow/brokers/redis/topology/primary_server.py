"""One Redis that takes writes, as a node uses it: a connection to ask on, one to hear on, a canary between them.

The canary is announced every few seconds. While it does not come back, nothing else would be heard either: the server
says so, and its pub/sub connection is reset.
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
from messageflow.brokers.redis.connections.reconnecting_connection import ReconnectingConnection
from messageflow.brokers.redis.connections.resp import NOT_NOW, Announcing, ErrorReply, Parts
from messageflow.brokers.redis.connections.server_check import ServerInfo, read_server_info
from messageflow.brokers.redis.pubsub.pubsub_connection import CANARY, PubSubConnection, PubSubListener
from messageflow.brokers.redis.tasks import cancel_all, supervise, wait_at_most
from messageflow.errors import BrokerError, Unavailable

log = logging.getLogger("messageflow.broker")

CANARY_EVERY, DEAF_AFTER = 2.0, 8.0  # seconds


class PrimaryServer:
    """One server.

    Args:
        make: returns a connection to it that is yet to be made.
        listener: takes what is announced.
        canary: returns the name under which the canary is announced here.
        deadline: seconds a command may take.
        announces: how something is announced here.
        on_moved: called when it no longer has all that it had, or cannot be reached.

    Attributes:
        commands: the connection on which it is asked.
        pubsub: the names that are heard here.
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
        self.commands = ReconnectingConnection(
            make, deadline=deadline, on_connected=self._prepare_connection, on_lost=self._report_lost
        )
        self.pubsub = PubSubConnection(
            make,
            listener,
            deadline=deadline,
            announces=announces,
            on_connected=self._is_back.set,
            on_lost=self._report_lost,
            on_moved=on_moved,
        )

    async def start(self) -> None:
        """Connect.

        Raises:
            BrokerError: it cannot be reached, or refuses.
        """
        await self.commands.start()
        await self.pubsub.connection.start()
        self._tasks = [supervise(self._announce_canaries, "redis-canary")]

    def begin(self) -> None:
        """Connect as soon as it can be reached."""
        self.commands.begin()
        self.pubsub.connection.begin()
        self._tasks = [supervise(self._announce_canaries, "redis-canary")]

    async def close(self) -> None:
        """Let go of it."""
        await cancel_all(self._tasks)
        await self.pubsub.connection.close()
        await self.commands.close()

    @property
    def trouble(self) -> str:
        """Why it cannot be relied on now; empty while it can."""
        for connection in (self.commands, self.pubsub.connection):
            if not connection.is_up:
                return f"Redis cannot be reached: {connection.lost}"
        if self._refusal:
            return self._refusal
        return "what is announced in Redis does not arrive" if _is_silent_since(self.pubsub.canary_at) else ""

    @property
    def times_lost(self) -> int:
        """How often a connection to it was lost."""
        return self.commands.times_lost + self.pubsub.connection.times_lost

    # Asking

    async def execute(self, commands: Sequence[Parts]) -> list[Any]:
        """Return a reply to each command; a `BrokerError` where there is none."""
        try:
            replies = await self.commands.execute(commands)
        except BrokerError as error:
            return [error] * len(commands)
        for index, reply in enumerate(replies):
            if not isinstance(reply, ErrorReply):
                continue
            if reply.word == "READONLY":
                log.warning("redis_is_a_replica_now")
                self.commands.sever("it is a replica now")  # which server takes writes is found out when connecting
                self.pubsub.connection.sever("it is a replica now")
                break
            if reply.word in NOT_NOW:
                replies[index] = Unavailable(f"Redis cannot do it now: {reply.text}")
        return replies

    async def inspect(self, prefix: str) -> ServerInfo:
        """Ask it about itself, and try all that will be asked of it under a prefix.

        Raises:
            BrokerError: it does not answer.
        """
        found = await read_server_info(self.commands.execute_one)
        return found._replace(
            hindrances=(*found.hindrances, *await find_missing_permissions(self.commands.execute, prefix))
        )

    def _prepare_connection(self) -> None:
        for script in scripts.ALL:
            self.commands.execute_unawaited("SCRIPT", "LOAD", script.text)
        self._is_back.set()
        self._listener.on_back()

    def _report_lost(self) -> None:
        self._listener.on_lost()
        self._on_moved()

    # The canary

    async def _announce_canaries(self) -> None:
        """Announce to itself until cancelled; a connection on which that does not arrive is reset."""
        pubsub, name = self.pubsub, ""
        while True:
            if (wanted := self._canary(self)) != name:
                if name:
                    pubsub.remove(name)
                name = wanted
                pubsub.add(name)
                pubsub.flush()
            # A Redis that loads its file announces, and does nothing else: so something is read, too.
            replies = await self.execute([self.announces.to_command(name, CANARY).parts, ("GET", name)])
            self._refusal = next((str(reply) for reply in replies if isinstance(reply, BrokerError)), "")
            if self._refusal:
                log.warning("canary_not_sent", extra={"error": self._refusal})
            await wait_at_most(self._is_back, CANARY_EVERY)
            if pubsub.connection.is_up and _is_silent_since(max(pubsub.canary_at, pubsub.connected_at)):
                log.error("deaf")
                pubsub.connection.sever("what is announced does not arrive")


def _is_silent_since(moment: float) -> bool:
    return time.monotonic() - moment > DEAF_AFTER
