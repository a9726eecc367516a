"""A worker lends the parent its connections on which backends push to users one after another.

Such a push asks the parent anyway, and costs two processes what one can do alone: 200 µs of CPU beside 110 (benchmarks:
workers). Only pushes to one user are lent, for these have no crowd of readers that could hold them up
(`hub.publish_delay`). The parent returns a connection with the first request that is anything else, or once it is idle.

Owns which connections are busy. Never answers anything.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial

from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.http_connection import HttpConnection
from messageflow.gateway.workers.descriptor_channel import DescriptorChannel

LENT_METHOD = b"push"
BUSY_PUSHES = 50  # on one connection, within a window: it is lent with the next
WINDOW = 0.25  # seconds
PAUSE = 1.0  # seconds for which nothing is lent after something was returned
LENT_BYTES = 1 << 16  # of the request that is lent with its connection


class Lender:
    """The lending of one worker.

    Args:
        end: of the `DescriptorChannel` to the parent.
        accept: makes a connection of a socket, as if it had just been accepted, that has read some bytes already.
    """

    def __init__(self, end: socket.socket, accept: Callable[[socket.socket, bytes], None]) -> None:
        self._channel = DescriptorChannel(end, self._take_back)
        self._accept = accept
        self._loop = asyncio.get_running_loop()
        self._pushes: dict[int, int] = {}  # of this window, by the identity of the connection
        self._window_ends = 0.0
        self._not_before = 0.0

    def lend(self, connection: HttpConnection, head: Head, request: bytes) -> bool:
        """Lend a connection with the request that came on it, if it is one to lend. Returns False, or it is gone.

        Args:
            connection: has nothing else to do.
            head: of the request, known as that of somebody who may call.
            request: all of it.
        """
        if head.call != LENT_METHOD:
            return False
        now, pushes = self._loop.time(), self._pushes
        if now >= self._window_ends:
            pushes.clear()
            self._window_ends = now + WINDOW
        key = id(connection)
        count = pushes[key] = pushes.get(key, 0) + 1
        if count <= BUSY_PUSHES or now < self._not_before:
            return False
        if not head.keep_alive or not 0 < head.length < len(request) <= LENT_BYTES:
            return False
        return connection.give_away(partial(self._channel.send, content=request))

    def _take_back(self, end: socket.socket, content: bytes) -> None:
        self._not_before = self._loop.time() + PAUSE
        self._accept(end, content)
