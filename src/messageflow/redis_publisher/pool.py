"""Connections to one server: kept, shared by all callers, never used by two at once.

A connection on which an exchange did not end well, for whatever reason, is closed and never used again: nobody can be
handed another one's reply. An exchange may go to several servers: all commands are sent before any reply is read, so
that the servers work at the same time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from messageflow.brokers.redis.connections import resp
from messageflow.brokers.redis.connections.resp import Parts
from messageflow.redis_publisher.edge import Attempt, Edge, Wire, talking

CONNECTIONS = 64  # open at once to one server; whoever finds them all busy waits, within his limit

Dial = Callable[[float], Awaitable[Wire]]


class Pool:
    """The connections to one server.

    Args:
        edge: of this process or event loop.
        dial: connects to the server, until a limit.
        name: of the server, without a password.
    """

    def __init__(self, edge: Edge, dial: Dial, name: str) -> None:
        self.dial = dial
        self.name = name
        self._idle: list[Wire] = []
        self._slots = edge.slots(CONNECTIONS)

    async def take(self, limit: float) -> _Held:
        """Return a connection that nobody else uses.

        Raises:
            Broken, NotAccepted: none can be made.
            TimeoutError: at the limit.
        """
        await self._slots.take(limit)
        try:
            while (wire := self._kept()) is not None:
                if wire.is_quiet():
                    return _Held(self, wire, reused=True)
                wire.close()
            return _Held(self, await self.dial(limit), reused=False)
        except BaseException:
            self._slots.give_back()
            raise

    def give_back(self, held: _Held, *, reusable: bool) -> None:
        """Take a connection back."""
        if reusable:
            self._idle.append(held.wire)
        else:
            held.wire.close()
        self._slots.give_back()

    def clear(self) -> None:
        """Close what is idle; later calls open new connections."""
        while (wire := self._kept()) is not None:
            wire.close()

    def _kept(self) -> Wire | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


class _Held(NamedTuple):
    pool: Pool
    wire: Wire
    reused: bool


class Part(NamedTuple):
    """Of an exchange, what goes to one server."""

    pool: Pool
    commands: Sequence[Parts]


async def exchange(parts: Sequence[Part], attempt: Attempt) -> list[list[Any]]:
    """Send commands to servers and return the replies of each, in order.

    Args:
        parts: at most one a server.
        attempt: that this belongs to.

    Raises:
        Broken, NotAccepted: a server cannot be reached, or a connection broke.
        TimeoutError: at the limit of the attempt.
    """
    held: list[_Held] = []
    complete = False
    try:
        for part in parts:
            held.append(await part.pool.take(attempt.limit))  # noqa: PERF401  # what was taken must be given back
        attempt.sent = True
        with talking(stale=any(each.reused for each in held)):
            for part, each in zip(parts, held, strict=True):
                await each.wire.send(packed(part.commands), attempt.limit)
            found = []
            for part, each in zip(parts, held, strict=True):
                found.append([await each.wire.receive(attempt.limit) for _ in part.commands])
        complete = True
        return found
    finally:
        for each in held:
            each.pool.give_back(each, reusable=complete)


def packed(commands: Iterable[Parts]) -> bytes:
    """Return commands as they are sent."""
    return b"".join(map(resp.pack, commands))
