"""The contract of a topology: which servers there are, and which of them has a key."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from messageflow.brokers.base import Ack
from messageflow.brokers.redis.connections.resp import Announcing, RedisCommand
from messageflow.brokers.redis.connections.server_check import ServerInfo


class Topology(Protocol):
    """One Redis, a Cluster of them, or several side by side. It is what a `store.Servers` is, and more."""

    async def start(self) -> None:
        """Connect.

        Raises:
            BrokerError: some of it cannot be reached, or cannot be used.
        """

    async def close(self) -> None:
        """Let go of all."""

    @property
    def trouble(self) -> str:
        """Why it cannot be relied on now; empty while it can."""

    @property
    def times_lost(self) -> int:
        """How many connections were lost so far."""

    async def inspect(self) -> dict[str, ServerInfo]:
        """Ask every server about itself, and remember what an acknowledgement of it means. By where it is.

        Raises:
            BrokerError: some server did not answer.
        """

    async def execute(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Return a reply to each command, in order; a `BrokerError` where there is none. Never raises one."""

    def execute_unawaited(self, command: RedisCommand) -> None:
        """Send a command whose reply is not awaited, if it can be sent now."""

    async def subscribe(self, name: str) -> None:
        """Hear a name: all that is announced under it after this returns.

        Raises:
            BrokerError: it was refused, or not confirmed in time.
        """

    def unsubscribe(self, name: str) -> None:
        """Hear it no longer."""

    def identify_server(self, key: str) -> Hashable:
        """Return what tells the server that has a key now from others."""

    def find_place(self, key: str) -> Hashable:
        """Return what keys have in common that one script may use together."""

    def get_announcing(self, key: str) -> Announcing:
        """Return how something is announced under a name there."""

    def get_ack(self, key: str) -> Ack:
        """Return what storing means there."""
