"""Asyncio I/O: transports of the running event loop. Everything belongs to one event loop, and ends with it.

A connection is closed when the call that uses it is cancelled, so that its answer is never the next one's. Idle ones
are closed before their loop is: `asyncio.run`, and all that end a loop as it does, first end its asynchronous
generators, and one of these is ours. So a flow may be shared by many short loops, of which none closes it: those of
`async_to_sync` in Django, or of `asyncio.run` in a task.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar, cast

from messageflow.client_io.codec import CLOSED, PENDING, Decoder, Malformed
from messageflow.client_io.kernel import ApiClient, Broken, ClientIO, ServerAddress, time_left
from messageflow.client_io.processes import OpenedBy, PerProcess
from messageflow.client_io.sockets import Target, list_tcp_targets, list_unix_targets, set_up

T = TypeVar("T")
K = TypeVar("K")

_Clients = dict[object, ApiClient]


class AsyncioConnection(asyncio.Protocol):
    """One open connection.

    Args:
        decoder: of what comes back.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._opened = OpenedBy()
        self._decoder = decoder
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._lost: OSError | Malformed | None = None

    def is_quiet(self) -> bool:
        return self._lost is None and self._decoder.is_idle()

    def is_reusable(self) -> bool:
        return self.is_quiet()

    async def send(self, data: bytes, limit: float) -> None:
        self._opened.check()
        if self._lost is not None:
            raise self._lost
        assert self._transport is not None
        self._transport.write(data)

    async def receive(self, limit: float) -> Any:
        while (reply := self._decoder.take()) is PENDING:
            if self._lost is not None:
                raise self._lost
            await self._wait(time_left(limit))
            self._opened.check()
        return reply

    async def _wait(self, seconds: float) -> None:
        """Return once something has come, or the connection is lost. 5 µs of 20 below `asyncio.timeout` (handlers)."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, _expire, self._waiter)
        try:
            await self._waiter
        finally:
            timer.cancel()

    def close(self) -> None:
        self._lost = self._lost or ConnectionAbortedError(CLOSED)
        if self._transport is not None:
            self._transport.abort()

    def abandon(self) -> None:
        """Nothing to do: the loop came with the fork, and what it holds goes with it."""

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not subclasses of it

    def data_received(self, data: bytes) -> None:
        try:
            self._decoder.feed(data)
        except (OSError, Malformed) as error:
            self._lost = error
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        if self._lost is None:
            self._lost = ConnectionResetError(str(error or CLOSED))
            try:
                self._decoder.end()
            except OSError:
                pass  # no reply ends so
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


class AsyncioSemaphore:
    """How many may still go on at once; see `Semaphore`."""

    __slots__ = ("_free",)

    def __init__(self, size: int) -> None:
        self._free = asyncio.Semaphore(size)

    async def acquire(self, limit: float) -> None:
        if self._free.locked():
            async with asyncio.timeout(time_left(limit)):
                await self._free.acquire()
        else:
            await self._free.acquire()  # at once

    def release(self) -> None:
        self._free.release()


class _OfLoop(NamedTuple):
    """What belongs to an event loop.

    Args:
        clients: by target.
        closing: closes them as the loop ends.
    """

    clients: _Clients
    closing: AsyncGenerator[None]


_parents: list[_OfLoop] = []
"""In a forked child, what loops of its parent had. Kept, for a generator that is dropped asks its loop to end it."""

_loops: PerProcess[asyncio.AbstractEventLoop, _OfLoop] = PerProcess(_parents.append)


class AsyncioIO:
    """See `ClientIO`."""

    blocks = False

    async def connect(self, address: ServerAddress, decoder: Decoder, limit: float) -> AsyncioConnection:
        async with asyncio.timeout(time_left(limit)):
            return await _open(address, decoder)

    def make_semaphore(self, size: int) -> AsyncioSemaphore:
        return AsyncioSemaphore(size)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def run_on(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], limit: float) -> T:
        running: Any = work
        if asyncio.get_running_loop() is not loop:
            try:
                running = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
            except RuntimeError:
                work.close()
                raise Broken("it has stopped") from None
        async with asyncio.timeout(limit - time.monotonic()):
            result: T = await running
        return result

    def get_client(self, target: K, make: Callable[[ClientIO, K], ApiClient]) -> ApiClient:
        loop = asyncio.get_running_loop()
        loops = _loops.table()
        own = loops.get(loop)
        if own is None:
            for ended in [each for each in list(loops) if each.is_closed()]:
                loops.pop(ended, None)
            own = loops.setdefault(loop, _begin())
        clients = own.clients
        client = clients.get(target)
        if client is None:
            client = clients[target] = make(self, target)
        return client


ASYNCIO = AsyncioIO()


def _begin() -> _OfLoop:
    """Return what the running loop will have, and let it close that as it ends."""
    clients: _Clients = {}
    closing = _close_at_the_end(clients)
    try:
        closing.__anext__().send(None)  # to its yield, where it waits for nothing; with this the loop knows it
    except StopIteration:
        pass
    return _OfLoop(clients, closing)


async def _close_at_the_end(clients: _Clients) -> AsyncGenerator[None]:
    opened = OpenedBy()
    try:
        yield
    finally:
        if opened.is_here():  # a forked child shares the parent's selector
            for client in clients.values():
                client.close()
            await asyncio.sleep(0)  # lets the loop close the sockets


async def _open(address: ServerAddress, decoder: Decoder) -> AsyncioConnection:
    loop = asyncio.get_running_loop()
    failure = OSError(f"the name {address.host} has no address")
    for family, kind, protocol, where in await _resolve(address, loop):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            await loop.sock_connect(connection, where)
            if not address.path:
                set_up(connection)
            security: dict[str, Any] = {}
            if address.tls is not None:
                security = {"ssl": address.tls(), "server_hostname": address.host}
            create = loop.create_unix_connection if address.path else loop.create_connection
            return (await create(lambda: AsyncioConnection(decoder), sock=connection, **security))[1]
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure


async def _resolve(address: ServerAddress, loop: asyncio.AbstractEventLoop) -> list[Target]:
    if address.path:
        return list_unix_targets(address.path)
    return list_tcp_targets(await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))
