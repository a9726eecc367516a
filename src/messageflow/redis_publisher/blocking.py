"""The blocking edge: sockets that wait, for threads and greenlets.

The library connects (TLS, users, databases); what is said then is read here, since replies are the same on both edges.
`socket`, `threading` and `time` are used through their modules, so that gevent's patched versions are found.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, cast

import redis
from hiredis import ProtocolError, Reader
from redis.exceptions import RedisError

from messageflow.brokers.redis.connections.resp import ErrorReply
from messageflow.brokers.redis.connections.url import Address
from messageflow.publisher.processes import Opened
from messageflow.publisher.sockets import is_quiet
from messageflow.redis_publisher.edge import left
from messageflow.redis_publisher.login import Login, explain

CHUNK = 65536


class BlockingWire:
    """One open connection.

    Args:
        connection: that has been connected.
    """

    __slots__ = ("_connection", "_opened", "_reader", "_socket")

    def __init__(self, connection: redis.Connection) -> None:
        self._opened = Opened()
        self._connection = connection
        self._socket = cast("socket.socket", connection._sock)
        self._reader = Reader(replyError=ErrorReply)

    def is_quiet(self) -> bool:
        return not self._reader.has_data() and is_quiet(self._socket)

    async def send(self, data: bytes, limit: float) -> None:
        self._opened.check()
        self._socket.settimeout(left(limit))
        self._socket.sendall(data)

    async def receive(self, limit: float) -> Any:
        try:
            while (reply := self._reader.gets()) is False:
                self._socket.settimeout(left(limit))
                data = self._socket.recv(CHUNK)
                self._opened.check()
                if not data:
                    raise ConnectionResetError("the connection was closed")
                self._reader.feed(data)
        except ProtocolError as error:
            raise OSError(f"what answers does not speak the protocol of Redis: {error}") from None
        return reply

    def close(self) -> None:
        self._connection.disconnect()  # type: ignore[no-untyped-call]


class BlockingSlots:
    """How many connections may still be opened; see `Slots`."""

    def __init__(self, size: int) -> None:
        self._free = threading.Semaphore(size)

    async def take(self, limit: float) -> None:
        if not self._free.acquire(timeout=max(0.0, limit - time.monotonic())):
            raise TimeoutError

    def give_back(self) -> None:
        self._free.release()


class Blocking:
    """The edge; see `Edge`."""

    async def connect(
        self, login: Login, address: Address | None, limit: float, *, sentinel: bool = False
    ) -> BlockingWire:
        connection = login.blocking(address, left(limit), sentinel=sentinel)
        try:
            connection.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise explain(error) from error
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        return BlockingWire(connection)

    def slots(self, size: int) -> BlockingSlots:
        return BlockingSlots(size)
