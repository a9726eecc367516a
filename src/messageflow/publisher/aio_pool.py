"""The asyncio edge's connections: kept alive, one pool for an endpoint and an event loop.

As in `pool`, a connection whose exchange did not end well is closed and never used again: a cancelled call cannot
leave its answer to the next one.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import cast

from messageflow.publisher.http1 import NO_ANSWER, NO_CONNECTION, Answer, Endpoint, Failure, Malformed, Response
from messageflow.publisher.pool import CONNECTIONS, explain, tls
from messageflow.publisher.processes import Opened, PerProcess

_Pools = dict[Endpoint, "AsyncPool"]


class AsyncConnection(asyncio.Protocol):
    """One open connection, carrying one exchange at a time."""

    def __init__(self) -> None:
        self._opened = Opened()
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self.alive = True

    async def exchange(self, request: bytes) -> Response:
        """Send a request and return its complete response.

        Raises:
            OSError: the connection broke.
            Malformed: what came back is no HTTP.
        """
        if self._transport is None or not self.alive:
            raise ConnectionResetError("the connection was closed")
        self._opened.check()
        self._response = Response()
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        response = await self._waiter
        self._opened.check()
        return response

    def close(self) -> None:
        """Close at once, whatever was still to be sent."""
        self.alive = False
        if self._transport is not None:
            self._transport.abort()

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not subclasses of it

    def data_received(self, data: bytes) -> None:
        if self._response is None or self._waiter is None or self._waiter.done():
            self.close()  # said without being asked: whatever it is, it must not become somebody's answer
            return
        try:
            complete = self._response.feed(data)
        except Malformed as error:
            self._waiter.set_exception(error)
            return
        if complete:
            self._waiter.set_result(self._response)

    def connection_lost(self, error: Exception | None) -> None:
        self.alive = False
        if self._response is None or self._waiter is None or self._waiter.done():
            return
        if self._response.end():
            self._waiter.set_result(self._response)
        else:
            self._waiter.set_exception(ConnectionResetError("the connection was closed"))


class AsyncPool:
    """The connections of one event loop to one endpoint."""

    def __init__(self, endpoint: Endpoint, size: int = CONNECTIONS) -> None:
        self._endpoint = endpoint
        self._idle: list[AsyncConnection] = []
        self._slots = asyncio.Semaphore(size)

    async def exchange(self, request: bytes, limit: float) -> Answer | Failure:
        """Send a request and return what came of it by `limit`, on the clock of `time.monotonic`.

        When it is cancelled the connection is closed; the request may have arrived.
        """
        connection: AsyncConnection | None = None
        try:
            async with asyncio.timeout(limit - time.monotonic()), self._slots:
                connection = self._take()
                if connection is not None:
                    return await self._ask(connection, request, reused=True)
                try:
                    connection = await _connect(self._endpoint)
                except OSError as error:
                    return explain(error)
                return await self._ask(connection, request, reused=False)
        except TimeoutError:
            return NO_CONNECTION if connection is None else NO_ANSWER

    async def _ask(self, connection: AsyncConnection, request: bytes, *, reused: bool) -> Answer | Failure:
        reusable = False
        try:
            response = await connection.exchange(request)
            reusable = response.reusable
            return response.answer
        except OSError as error:
            return Failure(str(error), sent=True, stale=reused)
        except Malformed as error:
            return Failure(str(error), sent=True, hopeless=True)
        finally:
            if reusable and connection.alive:
                self._idle.append(connection)
            else:
                connection.close()

    def _take(self) -> AsyncConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
        return None

    async def close(self) -> None:
        """Close the idle connections; those in use are unaffected, and later calls open new ones."""
        while self._idle:
            self._idle.pop().close()
        await asyncio.sleep(0)  # lets the loop close the sockets before it may be closed itself


_pools: PerProcess[asyncio.AbstractEventLoop, _Pools] = PerProcess()


def pool_for(endpoint: Endpoint) -> AsyncPool:
    """Return the running event loop's pool of connections to `endpoint`."""
    loop = asyncio.get_running_loop()
    loops = _pools.table()
    pools = loops.get(loop)
    if pools is None:
        for ended in [each for each in list(loops) if each.is_closed()]:
            loops.pop(ended, None)
        pools = loops.setdefault(loop, {})
    if endpoint not in pools:
        pools[endpoint] = AsyncPool(endpoint)
    return pools[endpoint]


async def _connect(endpoint: Endpoint) -> AsyncConnection:
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"the name {endpoint.host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_STREAM
    ):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            await loop.sock_connect(connection, address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not endpoint.secure:
                return (await loop.create_connection(AsyncConnection, sock=connection))[1]
            name = endpoint.host
            return (await loop.create_connection(AsyncConnection, sock=connection, ssl=tls(), server_hostname=name))[1]
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure
