"""Connections to one server: kept, shared by all callers, never used by two at once.

A connection on which an exchange did not end well, for whatever reason, a greenlet's death included, is closed and
never used again: nobody can be handed another one's reply. An exchange may go to several servers: all requests are sent
before any reply is read, so that the servers work at the same time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from messageflow.client_io.codec import Malformed
from messageflow.client_io.kernel import Attempt, Broken, ClientConnection, ClientIO, raise_broken

CONNECTIONS = 64  # open at once to one server; a caller that finds them all busy waits, within its limit

Dial = Callable[[float], Awaitable[ClientConnection]]


class ConnectionPool:
    """The connections to one server.

    Args:
        io: of this process or event loop.
        dial: connects to the server, until a limit.
        name: of the server, without a password.
        size: how many may be open at once.
    """

    def __init__(self, io: ClientIO, dial: Dial, name: str, size: int = CONNECTIONS) -> None:
        self.dial = dial
        self.name = name
        self._idle: list[ClientConnection] = []
        self._size = size
        self._semaphore = io.make_semaphore(size)

    async def acquire(self, limit: float) -> tuple[ClientConnection, bool]:
        """Return a connection that nobody else uses, and whether it was used before.

        Raises:
            Broken: none can be made, or all are busy.
            TimeoutError: at the limit.
        """
        try:
            await self._semaphore.acquire(limit)
        except TimeoutError:
            raise Broken(f"all {self._size} connections are busy") from None
        try:
            while (connection := self._pop_idle()) is not None:
                if connection.is_quiet():
                    return connection, True
                connection.close()
            return await self.dial(limit), False
        except BaseException:
            self._semaphore.release()
            raise

    def release(self, connection: ClientConnection, *, reusable: bool) -> None:
        """Take a connection back."""
        if reusable and connection.is_reusable():
            self._idle.append(connection)
        else:
            connection.close()
        self._semaphore.release()

    def clear(self) -> None:
        """Close what is idle; later calls open new connections."""
        while (connection := self._pop_idle()) is not None:
            connection.close()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections. Takes no lock, for a lost thread may hold it."""
        for connection in list(self._idle):
            connection.abandon()

    def _pop_idle(self) -> ClientConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


Part = tuple[ConnectionPool, bytes, int]
"""Of an exchange, what goes to one server: the connections to it, what is sent, and how many replies come back (one at
least). A tuple without names: a named one costs a push 0.4 µs of its 17."""


async def exchange(parts: Sequence[Part], attempt: Attempt) -> list[list[Any]]:
    """Send requests to servers and return the replies of each, in order.

    Args:
        parts: at most one a server.
        attempt: that this belongs to.

    Raises:
        Broken: a server cannot be reached, or a connection broke.
        TimeoutError: at the limit of the attempt.
    """
    held: list[tuple[ConnectionPool, ClientConnection]] = []
    stale = complete = False
    limit = attempt.limit
    try:
        for pool, _, _ in parts:
            connection, reused = await pool.acquire(limit)
            held.append((pool, connection))
            stale = stale or reused
        attempt.sent = True
        for (_, data, _), (_, connection) in zip(parts, held, strict=True):
            await connection.send(data, limit)
        found = []
        for (_, _, count), (_, connection) in zip(parts, held, strict=True):
            replies = [await connection.receive(limit)]
            for _ in range(1, count):  # a list comprehension that awaits is a coroutine more
                replies.append(await connection.receive(limit))  # noqa: PERF401
            found.append(replies)
        complete = True
        return found
    except (OSError, Malformed) as error:
        raise_broken(error, stale=stale)
    finally:
        for pool, connection in held:
            pool.release(connection, reusable=complete)
