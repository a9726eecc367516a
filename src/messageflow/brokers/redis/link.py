"""One connection to Redis, shared by all who have something to ask: commands go out at once, replies come in order.

The library makes the connection (TLS, users, versions) and parses; here is what it does not do, many commands under
way on one connection. A command that is given up leaves its place in the order of replies; one that is overdue closes
the connection, since from then on nothing on it can be trusted.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio import Connection
from redis.exceptions import RedisError, ResponseError

from messageflow.errors import BrokerError, Unanswered, Unavailable

log = logging.getLogger("messageflow.broker")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between attempts to connect
CLOSED = "it was closed"
Value = bytes | str | int | float


class Refused(BrokerError):
    """Redis answered with an error.

    Args:
        error: as the library read it; its class says what kind it is.
    """

    def __init__(self, error: ResponseError) -> None:
        super().__init__(f"Redis refuses: {error}")
        self.error = error


class Link:
    """A connection that is made anew whenever it is lost.

    Args:
        make: returns a connection that is yet to be made.
        deadline: seconds a reply may take.
        on_connected: called when it is there, before anything else is sent.
        on_message: gets what comes unasked, on a connection that subscribes; on such a connection no reply is awaited.
        pause: returns the seconds before an attempt, of its number and the longest pause; has the randomness.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[Connection]],
        *,
        deadline: float,
        pause: Callable[[float], float],
        on_connected: Callable[[], None] = lambda: None,
        on_message: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self._make = make
        self._deadline = deadline
        self._pause = pause
        self._on_connected = on_connected
        self._on_message = on_message
        self._awaited: deque[tuple[asyncio.Future[Any] | None, float]] = deque()  # and when the reply is due
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._lost = ""
        self.times_lost = 0

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    async def start(self) -> None:
        """Connect, and stay connected.

        Raises:
            BrokerError: the first attempt failed; says why.
        """
        try:
            await self._connect()
        except (RedisError, OSError) as error:
            raise BrokerError(f"Redis cannot be reached: {error}") from error
        self._running = self._loop.create_task(self._run(), name="redis-link")

    async def close(self) -> None:
        """Release the connection."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        await self._drop(CLOSED)

    async def restart(self) -> None:
        """Give the connection up and make another."""
        if self._connection is not None:
            await _sever(self._connection)

    def expect(self, *command: Value) -> None:
        """Send a command and take its reply without looking at it, if the connection is up."""
        if self._up.is_set():
            self._awaited.append((None, self._loop.time() + self._deadline))
            self.send(*command)

    def send(self, *command: Value) -> None:
        """Send a command that has no reply in order, if the connection is up."""
        connection = self._connection
        if connection is not None and connection._writer is not None and self._up.is_set():
            connection._writer.writelines(connection.pack_command(*command))

    async def ask(self, *command: Value) -> Any:
        """Send a command and return its reply.

        Raises:
            Refused: Redis answered with an error.
            Unanswered: the connection was lost, or nothing came in time, after the command was sent.
            Unavailable: the connection is not there: nothing was sent.
        """
        if not self._up.is_set():
            await self._wait_until_up()
        reply = self._loop.create_future()
        self._awaited.append((reply, self._loop.time() + self._deadline))
        self.send(*command)
        return await reply

    async def _wait_until_up(self) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                await self._up.wait()
        except TimeoutError:
            raise Unavailable(f"Redis cannot be reached: {self._lost}") from None

    # Life

    async def _run(self) -> None:
        watch = self._loop.create_task(self._watch(), name="redis-watch")
        try:
            while True:
                try:
                    await self._read()
                except (RedisError, OSError, EOFError) as error:
                    await self._drop(str(error) or type(error).__name__)
                await self._reconnect()
        finally:
            watch.cancel()

    async def _connect(self) -> None:
        async with asyncio.timeout(self._deadline):
            connection = await self._make()
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
            except BaseException:
                await _sever(connection)
                raise
        self._connection = connection
        self._up.set()
        self._on_connected()

    async def _reconnect(self) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(self._pause(min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt)))
            attempt += 1
            try:
                await self._connect()
            except (RedisError, OSError) as error:  # a timeout is an OSError
                self._lost = str(error) or type(error).__name__
            else:
                log.info("redis_back", extra={"attempts": attempt})
                return

    async def _read(self) -> None:
        connection = self._connection
        assert connection is not None
        while True:
            try:
                reply = await connection.read_response(timeout=math.inf)
            except ResponseError as error:
                self._settle(error)
                continue
            if self._on_message is not None:
                self._on_message(reply)
            else:
                self._settle(reply)

    def _settle(self, reply: Any) -> None:
        if not self._awaited:
            return
        future, _ = self._awaited.popleft()
        if future is None:
            if isinstance(reply, ResponseError):
                log.error("redis_refused", extra={"error": str(reply)})
        elif future.done():
            return
        elif isinstance(reply, ResponseError):
            future.set_exception(Refused(reply))
        else:
            future.set_result(reply)

    async def _watch(self) -> None:
        """Close the connection when a reply is overdue."""
        while True:
            await asyncio.sleep(self._deadline / 4)
            if self._awaited and self._awaited[0][1] < self._loop.time() and self._connection is not None:
                await _sever(self._connection)

    async def _drop(self, why: str) -> None:
        """The connection is gone: whoever awaits a reply does not know what came of his command."""
        self._up.clear()
        self._lost = why
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if why != CLOSED:
            self.times_lost += 1
            log.warning("redis_lost", extra={"why": why, "awaited": len(self._awaited)})
        await _sever(connection)
        while self._awaited:
            future, _ = self._awaited.popleft()
            if future is not None and not future.done():
                future.set_exception(Unanswered(f"the connection to Redis was lost: {why}"))


async def _sever(connection: Connection) -> None:
    """Let go of a connection now, whatever is still to be sent on it: the peer may take nothing any more."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    await connection.disconnect(nowait=True)
    await asyncio.sleep(0)


def pairs(flat: Sequence[Any]) -> dict[bytes, bytes]:
    """Return a flat list of names and values as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
