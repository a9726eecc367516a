"""The front door: what all connections of the port share, from the first byte to the endpoint.

The table of paths, the limits of heads, bodies and time, the connections that are open, and the tasks that answer.
Knows neither what an endpoint answers nor who is let in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from messageflow.brokers.eager import run_without_task
from messageflow.gateway.front_door.deadlines import Deadlines
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.routes import Routes


class Open(Protocol):
    """A connection, as what it shares with others sees it."""

    transport: asyncio.Transport

    def close(self) -> None:
        """Close once what was written is out."""


class FrontDoor:
    """What the connections of one port share.

    Args:
        routes: the table.
        limits: of every connection.
        on_slow_head: called for each head that took too long.

    Attributes:
        connections: those that are open and speak HTTP.
    """

    def __init__(self, routes: Routes, limits: HttpLimits, on_slow_head: Callable[[], None]) -> None:
        self.routes = routes
        self.limits = limits
        self.connections: set[Any] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._default_headers: Callable[[], list[tuple[bytes, bytes]]] = list
        self._on_slow_head = on_slow_head
        self._heads: Deadlines[Open] = Deadlines(limits.handshake_timeout, self._end_slow_head)
        self._idle: Deadlines[Open] = Deadlines(limits.keep_alive, lambda connection: connection.close())
        self._lingering: Deadlines[Open] = Deadlines(limits.linger, _abort)
        self._untaken: Deadlines[Open] = Deadlines(limits.answer_timeout, _abort)
        self._encoded_headers: list[tuple[bytes, bytes]] = []
        self._common = b""

    def join(
        self,
        connections: set[Any],
        tasks: set[asyncio.Task[None]],
        default_headers: Callable[[], list[tuple[bytes, bytes]]],
    ) -> None:
        """Share a server's state, before any connection comes.

        Args:
            connections: enter those that are open here; the server's end calls `shutdown` of each and waits for it.
            tasks: enter those that answer requests here; the server's end waits for them.
            default_headers: returns the headers of every answer.
        """
        self.connections = connections
        self._tasks = tasks
        self._default_headers = default_headers

    @property
    def common(self) -> bytes:
        """The header lines of every answer, which change once a second."""
        headers = self._default_headers()
        if headers is not self._encoded_headers:
            self._encoded_headers = headers
            self._common = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._common

    def opened(self, connection: Open) -> None:
        """A connection is there, and its first head is due."""
        self.connections.add(connection)
        self._heads.add(connection)

    def await_head(self, connection: Open, *, begun: bool) -> None:
        """A connection has nothing to answer; `begun` says whether some of the next head has come."""
        if connection in self._heads:
            return
        if begun:
            self._idle.discard(connection)
            self._heads.add(connection)
        elif connection not in self._idle:
            self._idle.add(connection)

    def head_came(self, connection: Open) -> None:
        """A head is whole."""
        self._heads.discard(connection)
        self._idle.discard(connection)

    def await_taking(self, connection: Open) -> None:
        """A connection has an answer that its peer does not take."""
        if connection not in self._untaken:
            self._untaken.add(connection)

    def answer_taken(self, connection: Open) -> None:
        """The peer has taken nearly all of it."""
        self._untaken.discard(connection)

    def linger(self, connection: Open) -> None:
        """A connection was ended whose peer may still send."""
        self.head_came(connection)
        self._lingering.add(connection)

    def forget(self, connection: Open) -> None:
        """A connection is gone, or speaks something else."""
        self.connections.discard(connection)
        self.head_came(connection)
        self._lingering.discard(connection)
        self._untaken.discard(connection)

    def _end_slow_head(self, connection: Open) -> None:
        self._on_slow_head()
        connection.transport.abort()

    def run(self, answering: Coroutine[Any, Any, None]) -> None:
        """Run what answers a request, as a task only if it has to wait; the end of the port waits for it."""
        run_without_task(answering, self._spawn)

    def _spawn(self, answering: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(answering)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _abort(connection: Open) -> None:
    connection.transport.abort()
