"""Blocking I/O: sockets that wait, for threads and greenlets.

`socket`, `queue` and `time` are used through their modules, so that gevent's patched versions are found, and locks
are made when a client is, for gevent may patch what they are made of after the import.
"""

from __future__ import annotations

import os
import queue
import socket
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from messageflow.client_io.codec import PENDING, Decoder
from messageflow.client_io.kernel import ApiClient, Broken, ClientIO, ServerAddress, time_left
from messageflow.client_io.processes import OpenedBy, PerProcess
from messageflow.client_io.sockets import CHUNK, Target, is_quiet, list_tcp_targets, list_unix_targets, set_up

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
K = TypeVar("K")


class BlockingConnection:
    """One open connection. Its coroutines never wait for an event loop.

    Args:
        connected: the socket.
        decoder: of what comes back.
    """

    __slots__ = ("_decoder", "_opened", "_socket")

    def __init__(self, connected: socket.socket, decoder: Decoder) -> None:
        self._opened = OpenedBy()
        self._socket = connected
        self._decoder = decoder

    def is_quiet(self) -> bool:
        return self._decoder.is_idle() and is_quiet(self._socket)

    def is_reusable(self) -> bool:
        return self._decoder.is_idle()

    async def send(self, data: bytes, limit: float) -> None:
        self._opened.check()
        self._socket.settimeout(time_left(limit))
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a gateway that refuses early, for the size, has answered already

    async def receive(self, limit: float) -> Any:
        decoder = self._decoder
        while (reply := decoder.take()) is PENDING:
            self._socket.settimeout(time_left(limit))
            data = self._socket.recv(CHUNK)
            self._opened.check()
            if data:
                decoder.feed(data)
            else:
                decoder.end()
        return reply

    def close(self) -> None:
        self._socket.close()

    def abandon(self) -> None:
        os.close(self._socket.detach())


class BlockingSemaphore:
    """How many may still go on at once; see `Semaphore`."""

    __slots__ = ("_free",)

    def __init__(self, size: int) -> None:
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()  # a third of the cost of a semaphore
        for _ in range(size):
            self._free.put(None)

    async def acquire(self, limit: float) -> None:
        try:
            self._free.get_nowait()
        except queue.Empty:
            self._wait(limit)

    def _wait(self, limit: float) -> None:
        try:
            self._free.get(timeout=max(0.0, limit - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None

    def release(self) -> None:
        self._free.put(None)


_clients: PerProcess[object, ApiClient] = PerProcess(lambda client: client.abandon())


class BlockingIO:
    """See `ClientIO`."""

    blocks = True

    async def connect(self, address: ServerAddress, decoder: Decoder, limit: float) -> BlockingConnection:
        return BlockingConnection(_open(address, limit), decoder)

    def make_semaphore(self, size: int) -> BlockingSemaphore:
        return BlockingSemaphore(size)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  # blocking is what it is for

    async def run_on(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], limit: float) -> T:
        import asyncio  # here, for a process without an event loop never pays for it

        try:
            future = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:
            work.close()
            raise Broken("it has stopped") from None
        try:
            return future.result(max(0.0, limit - time.monotonic()))
        finally:
            future.cancel()

    def get_client(self, target: K, make: Callable[[ClientIO, K], ApiClient]) -> ApiClient:
        clients = _clients.table()
        client = clients.get(target)
        return client if client is not None else clients.setdefault(target, make(self, target))


BLOCKING = BlockingIO()


def _open(address: ServerAddress, limit: float) -> socket.socket:
    failure = OSError(f"the name {address.host} has no address")
    for family, kind, protocol, where in _resolve(address):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(time_left(limit))
            connection.connect(where)
            if not address.path:
                set_up(connection)
            if address.tls is None:
                return connection
            return address.tls().wrap_socket(connection, server_hostname=address.host)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure


def _resolve(address: ServerAddress) -> list[Target]:
    if address.path:
        return list_unix_targets(address.path)
    host = (
        address.host.encode() if address.host.isascii() else address.host
    )  # a text loads the codec of IDNA, and fails
    return list_tcp_targets(socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM))  # as its process ends
