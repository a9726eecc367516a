"""The asyncio edge: transports of the running event loop.

The library connects; then bytes come straight here, as in `brokers.redis.connections.pipelined`. Everything belongs to
one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from hiredis import ProtocolError, Reader
from redis import asyncio as awaiting
from redis.exceptions import RedisError

from messageflow.brokers.redis.connections.resp import ErrorReply
from messageflow.brokers.redis.connections.url import Address
from messageflow.publisher.processes import Opened
from messageflow.redis_publisher.edge import left
from messageflow.redis_publisher.login import Login, explain


class AwaitingWire(asyncio.Protocol):
    """One open connection.

    Args:
        connection: that has been connected.
    """

    def __init__(self, connection: awaiting.Connection) -> None:
        assert connection._writer is not None
        self._opened = Opened()
        self._connection = connection
        self._transport: asyncio.WriteTransport = connection._writer.transport
        self._reader = Reader(replyError=ErrorReply)
        self._replies: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._lost: OSError | None = None
        connection._writer.transport.set_protocol(self)

    def is_quiet(self) -> bool:
        return self._lost is None and not self._replies and not self._reader.has_data()

    async def send(self, data: bytes, limit: float) -> None:
        self._opened.check()
        if self._lost is not None:
            raise self._lost
        self._transport.write(data)

    async def receive(self, limit: float) -> Any:
        while not self._replies:
            if self._lost is not None:
                raise self._lost
            self._waiter = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(left(limit)):
                await self._waiter
        self._opened.check()
        return self._replies.popleft()

    def close(self) -> None:
        self._lost = ConnectionAbortedError("it was closed")
        self._transport.abort()
        self._connection._writer = None  # which would complain that nobody closed it

    # Called by the event loop

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._replies.append(reply)
        except ProtocolError as error:
            self._lost = OSError(f"what answers does not speak the protocol of Redis: {error}")
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = self._lost or ConnectionResetError(str(error or "the connection was closed"))
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class AwaitingSlots:
    """How many connections may still be opened; see `Slots`."""

    def __init__(self, size: int) -> None:
        self._free = asyncio.Semaphore(size)

    async def take(self, limit: float) -> None:
        if self._free.locked():
            async with asyncio.timeout(left(limit)):
                await self._free.acquire()
        else:
            await self._free.acquire()  # at once

    def give_back(self) -> None:
        self._free.release()


class Awaiting:
    """The edge; see `Edge`."""

    async def connect(
        self, login: Login, address: Address | None, limit: float, *, sentinel: bool = False
    ) -> AwaitingWire:
        connection = login.awaiting(address, sentinel=sentinel)
        try:
            async with asyncio.timeout(left(limit)):
                await connection.connect()  # type: ignore[no-untyped-call]
            return AwaitingWire(connection)
        except (RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            raise explain(error) from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    def slots(self, size: int) -> AwaitingSlots:
        return AwaitingSlots(size)
