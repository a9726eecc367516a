"""The front door: what all connections of the port share, from the first byte to the endpoint.

The table of paths, the limits of heads, bodies and time, the connections that are open, and the tasks that answer.
Knows neither what an endpoint answers nor who is let in.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from messageflow.brokers.eager import run_without_task
from messageflow.gateway.front_door.deadlines import Deadlines
from messageflow.gateway.front_door.file_room import FileRoom
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.known_calls import KnownCalls
from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.front_door.routes import Routes

_CROWDED = HttpResponse(503, [(b"retry-after", b"1")], b"Too many connections are open here. Try again soon.\n")


class OnCrowd(Protocol):
    """Is told of each connection for which there was no room."""

    def __call__(self, *, refused: bool) -> None: ...


class Open(Protocol):
    """A connection, as what it shares with others sees it.

    Attributes:
        transport: of the socket.
        in_handshake: whether TLS is still to begin.
    """

    transport: asyncio.Transport

    @property
    def in_handshake(self) -> bool: ...

    def close(self) -> None:
        """Close once what was written is out."""

    def turn_away(self, response: HttpResponse) -> None:
        """Answer whatever is asked, and close."""


class OnSlow(Protocol):
    """Is told of each connection that was not ready in time."""

    def __call__(self, *, handshake: bool) -> None: ...


class Lend(Protocol):
    """Has another process take over a connection with a whole request of a known head, or returns False."""

    def __call__(self, connection: Any, head: Head, request: bytes, /) -> bool: ...


class FrontDoor:
    """What the connections of one port share.

    Args:
        routes: the table.
        limits: of every connection.
        on_slow: called for each connection whose head, or TLS handshake, took too long.
        files: how many connections there is room for.
        on_crowd: called for each connection that was refused, or ended early, for want of room.

    Attributes:
        connections: those that are open and speak HTTP.
        known_calls: heads that were let in before.
        lend: is asked with each request that begins with one of these; None where there is nobody to lend to.
    """

    def __init__(
        self,
        routes: Routes,
        limits: HttpLimits,
        on_slow: OnSlow,
        files: FileRoom | None = None,
        on_crowd: OnCrowd | None = None,
    ) -> None:
        self.routes = routes
        self.limits = limits
        self.connections: set[Any] = set()
        self.known_calls = KnownCalls()
        self.lend: Lend | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._default_headers: Callable[[], list[tuple[bytes, bytes]]] = list
        self._on_slow = on_slow
        self._files = files or FileRoom()
        self._on_crowd = on_crowd
        self._heads: Deadlines[Open] = Deadlines(limits.handshake_timeout, self._end_slow)
        self._idle: Deadlines[Open] = Deadlines(limits.keep_alive, lambda connection: connection.close())
        self._lingering: Deadlines[Open] = Deadlines(limits.linger, _abort)
        self._untaken: Deadlines[Open] = Deadlines(limits.answer_timeout, _abort)
        self._owing: Deadlines[Open] = Deadlines(math.inf, _abort)
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
    def waiting(self) -> int:
        """How many connections would make room for another."""
        return sum(map(len, (self._lingering, self._idle, self._heads, self._owing)))

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
        if len(self.connections) > self._files.requests_limit:
            self._files.reckon()  # with who has come and gone since the last look
            crowded = len(self.connections) > self._files.requests_limit and not self._make_room()
            if crowded and not connection.in_handshake:
                self._note_crowd(refused=True)
                connection.turn_away(_CROWDED)
                return
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

    def await_next(self, connection: Open) -> None:
        """A connection was answered in the step in which its request came, and that was all."""
        if connection in self._heads:
            self._heads.discard(connection)
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
        self._owing.discard(connection)

    def await_peer(self, connection: Open) -> None:
        """All waits for the peer from now on: for more of a body, to take an answer, to say that it has seen the end.

        No time is set here; who owes that for longest makes room where there is none.
        """
        self._owing.add(connection)

    def peer_came(self, connection: Open) -> None:
        """The peer has done it."""
        self._owing.discard(connection)

    def linger(self, connection: Open) -> None:
        """A connection was ended whose peer may still send."""
        self.head_came(connection)
        self._lingering.add(connection)

    def handed_over(self, connection: Open) -> None:
        """A connection whose head came, and which owes nobody an answer, speaks something else."""
        self.connections.discard(connection)

    def forget(self, connection: Open) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self.head_came(connection)
        self._lingering.discard(connection)
        self._untaken.discard(connection)
        self._owing.discard(connection)

    def _make_room(self) -> bool:
        """End a connection that waits for nothing of ours. Returns False where there is none."""
        late = min(self._heads, self._owing, key=lambda each: each.since)  # who is honest does at once what is due
        for waiting in (self._lingering, self._idle, late):
            longest = waiting.pop_first()
            if longest is not None:
                longest.transport.abort()
                self._note_crowd(refused=False)
                return True
        return False

    def _note_crowd(self, *, refused: bool) -> None:
        if self._on_crowd is not None:
            self._on_crowd(refused=refused)

    def _end_slow(self, connection: Open) -> None:
        self._on_slow(handshake=connection.in_handshake)
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
