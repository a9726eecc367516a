"""One connection to Redis that is made anew whenever it is lost, shared by all callers, their commands pipelined.

The library makes the connection (TLS, users, versions) and parses; here is what it does not do: a back-off between
attempts, and many commands under way on one connection, whose replies come in order. A command that is given up leaves
its place in the order of replies; one that is overdue closes the connection, since from then on nothing on it can be
trusted.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hiredis import ProtocolError, Reader
from redis.asyncio import Connection
from redis.exceptions import RedisError

from messageflow.brokers.base import own_task
from messageflow.brokers.redis.connections.connector import CONNECT_AT_LEAST, MakeConnection, heals_by_itself, release
from messageflow.brokers.redis.connections.error_messages import explain_connection_failure
from messageflow.brokers.redis.connections.resp import ErrorReply, Parts, Value, pack
from messageflow.brokers.redis.tasks import cancel_all, supervise
from messageflow.core.backoff import Backoff
from messageflow.errors import BrokerError, Unanswered, Unavailable

log = logging.getLogger("messageflow.broker")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between attempts to connect
WORTH_IT = 5.0  # seconds a connection has to last for the pauses to begin small again
PATIENCE = 0.2  # of the deadline: how long a command waits for a connection that is not there
MOST_AWAITED = 100_000  # replies; more are refused
CLOSED = "it was closed"


class _Replies:
    """The replies to commands that were sent together."""

    __slots__ = ("future", "missing", "replies")

    def __init__(self, future: asyncio.Future[list[Any]], missing: int) -> None:
        self.future = future
        self.missing = missing
        self.replies: list[Any] = []

    def take(self, reply: Any) -> None:
        self.replies.append(reply)
        self.missing -= 1
        if not self.missing and not self.future.done():
            self.future.set_result(self.replies)


class ReconnectingConnection(asyncio.Protocol):
    """A connection that reconnects whenever it is lost, with a back-off.

    Args:
        make: returns a connection that is yet to be made.
        deadline: seconds a command may take.
        on_connected: called when it is there, before anything else is sent.
        on_message: gets what comes, on a connection that subscribes; on such a connection no reply is awaited.
        on_lost: called when it is gone, before it reconnects.
    """

    def __init__(
        self,
        make: MakeConnection,
        *,
        deadline: float,
        on_connected: Callable[[], None] = lambda: None,
        on_message: Callable[[Any], None] | None = None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._make = make
        self._deadline = deadline
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._take = on_message or self._settle
        self._awaited: deque[tuple[_Replies | None, float]] = deque()  # and when the reply is due
        self._connection: Connection | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._unsent: list[bytes] = []
        self._reader = Reader()
        self._up = asyncio.Event()
        self._gone = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        self._up_since = 0.0
        self._loop = asyncio.get_running_loop()
        self.lost = "it is not connected yet"
        self.times_lost = 0

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    async def start(self) -> None:
        """Connect, and stay connected.

        Raises:
            Unavailable: it cannot be reached now, and may be later.
            BrokerError: the first attempt failed in another way; says how.
        """
        try:
            await self._connect()
        except (RedisError, OSError, RuntimeError) as error:  # the last from uvloop, when it is reset meanwhile
            kind = Unavailable if heals_by_itself(error) else BrokerError
            raise kind(f"Redis cannot be reached: {explain_connection_failure(error)}") from error
        self.begin()

    def begin(self) -> None:
        """Stay connected from now on, whether or not it can be reached yet."""
        self._running = [supervise(self._run, "redis-connection")]

    async def close(self) -> None:
        """Release the connection."""
        await cancel_all(self._running)
        self.sever(CLOSED)
        await self._release()

    def sever(self, why: str) -> None:
        """Give the connection up now, whatever is still to be sent on it; another will be made."""
        if self._transport is not None:
            self.lost = why
            if why != CLOSED:
                _reset_on_close(self._transport)
            self._transport.abort()
            self._note_lost(why)

    def send(self, *parts: Value) -> None:
        """Send a command that has no reply in order, if the connection is up."""
        if self._up.is_set():
            self._write(pack(parts))

    def execute_unawaited(self, *parts: Value) -> None:
        """Send a command and take its reply without looking at it, if the connection is up."""
        if self._up.is_set() and len(self._awaited) < MOST_AWAITED:
            self._awaited.append((None, self._loop.time() + self._deadline))
            self.send(*parts)

    async def execute(self, commands: Sequence[Parts]) -> list[Any]:
        """Send commands and return their replies; where Redis answered with an error, that.

        Raises:
            Unanswered: the connection was lost, or nothing came in time, after the commands were sent.
            Unavailable: the connection is not there: nothing was sent.
        """
        if not commands:
            return []
        due = self._loop.time() + self._deadline
        if not self._up.is_set():
            await self._wait_until_up()
        if self._transport is None:
            raise Unavailable(f"Redis cannot be reached: {self.lost}")
        if len(self._awaited) + len(commands) > MOST_AWAITED:
            raise Unavailable(f"Redis is behind: {len(self._awaited)} commands wait for it")
        replies = _Replies(self._loop.create_future(), len(commands))
        self._awaited.extend([(replies, due)] * len(commands))
        for command in commands:
            self._write(pack(command))
        return await replies.future

    async def execute_one(self, *parts: Value) -> Any:
        """Send a command and return its reply.

        Raises:
            Refused: Redis answered with an error.
            BrokerError: as `ask`.
        """
        [reply] = await self.execute([parts])
        if isinstance(reply, BrokerError):
            raise reply
        return reply

    def _write(self, data: bytes) -> None:
        """Write, together with all that is written in this turn of the loop: a system call takes 40 µs (redis-push)."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(data)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None:
            self._transport.write(b"".join(unsent))

    async def _wait_until_up(self) -> None:
        await own_task()
        try:
            async with asyncio.timeout(self._deadline * PATIENCE):
                await self._up.wait()
        except TimeoutError:
            raise Unavailable(f"Redis cannot be reached: {self.lost}") from None

    # Life

    async def _run(self) -> None:
        if not self.is_up:
            await self._reconnect()
        while True:
            while self.is_up:
                await self._wait_until_overdue()
            await self._release()
            self._on_lost()
            await self._reconnect()

    async def _wait_until_overdue(self) -> None:
        """Return when the connection is gone, or when it is time to look again whether a reply is overdue."""
        try:
            async with asyncio.timeout(self._deadline / 4):
                await self._gone.wait()
        except TimeoutError:
            if self._awaited and self._awaited[0][1] < self._loop.time():
                self.sever("no answer in time")

    async def _connect(self) -> None:
        async with asyncio.timeout(max(self._deadline, CONNECT_AT_LEAST)):
            connection = await self._make()
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
            except BaseException:
                await release(connection)
                raise
        assert connection._writer is not None
        transport = connection._writer.transport
        if transport.is_closing():  # the library's protocol was notified, and ours never would be
            await release(connection)
            raise ConnectionResetError("the other side closed it at once")
        self._connection = connection
        self._up_since = self._loop.time()
        self._reader = Reader(replyError=ErrorReply)
        self._gone.clear()
        self._transport = transport
        transport.set_protocol(self)  # bytes come straight here from now on
        self._up.set()
        self._on_connected()

    async def _reconnect(self) -> None:
        if self._loop.time() - self._up_since > WORTH_IT:
            self._backoff.reset()
        while True:
            await asyncio.sleep(self._backoff.fail())
            try:
                await self._connect()
            except Exception as error:  # the library lets through what the event loop raises
                self.lost = str(error) or type(error).__name__
            else:
                log.info("redis_back", extra={"attempts": self._backoff.failures})
                return

    async def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await release(connection)

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except ProtocolError as error:
            self.sever(f"it does not speak the protocol of Redis: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._note_lost(str(error or "the other side closed it"))

    def _settle(self, reply: Any) -> None:
        if not self._awaited:
            return
        replies, _ = self._awaited.popleft()
        if replies is not None:
            replies.take(reply)
        elif isinstance(reply, ErrorReply):
            log.error("redis_refused", extra={"error": str(reply)})

    def _note_lost(self, why: str) -> None:
        """The connection is gone: callers that await a reply do not know the outcome of their command."""
        self._up.clear()
        self._transport = None
        self._unsent.clear()
        self._gone.set()
        if why != CLOSED:
            self.lost = why
            self.times_lost += 1
            log.warning("redis_lost", extra={"why": why, "awaited": len(self._awaited)})
        awaited, self._awaited = self._awaited, deque()
        for replies, _ in awaited:
            if replies is not None and not replies.future.done():
                replies.future.set_exception(Unanswered(f"the connection to Redis was lost: {why}"))


def _reset_on_close(transport: asyncio.WriteTransport) -> None:
    """Let what was sent and not taken go with the connection: Redis would carry it out after what comes on the next."""
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.family != socket.AF_UNIX:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
