"""The blocking edge's connections: kept alive, shared by all threads, never used twice at once.

A pool belongs to one endpoint and one process. A connection whose exchange did not end well, for whatever reason, a
greenlet's death included, is closed and never used again: nobody can be handed another one's answer.

`socket`, `time` and `queue` are used through their modules, so that gevent's patched versions are found.
"""

from __future__ import annotations

import os
import queue
import socket
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from messageflow.publisher.http1 import NO_ANSWER, NO_CONNECTION, Answer, Endpoint, Failure, Malformed, Response
from messageflow.publisher.processes import Opened, PerProcess
from messageflow.publisher.sockets import is_quiet

if TYPE_CHECKING:
    import ssl

CONNECTIONS = 64  # open at once to one endpoint; whoever finds them all busy waits, within his deadline
CHUNK = 65536


class Connection:
    """One open connection."""

    __slots__ = ("_opened", "_socket")

    def __init__(self, endpoint: Endpoint, limit: float) -> None:
        self._opened = Opened()
        self._socket = _connect(endpoint, limit)

    def alive(self) -> bool:
        """Whether the other side has neither closed nor said anything since the last answer."""
        return is_quiet(self._socket)

    def exchange(self, request: bytes, limit: float) -> Response:
        """Send a request and return its complete response.

        Raises:
            OSError: TimeoutError at the limit, otherwise the connection broke.
            Malformed: what came back is no HTTP.
        """
        self._opened.check()
        connection = self._socket
        connection.settimeout(_left(limit))
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a gateway that refuses early, for the size, has answered already
        response = Response()
        while True:
            connection.settimeout(_left(limit))
            data = connection.recv(CHUNK)
            self._opened.check()
            if not data:
                if response.end():
                    return response
                raise ConnectionResetError("the connection was closed")
            if response.feed(data):
                return response

    def close(self) -> None:
        self._socket.close()

    def abandon(self) -> None:
        """Close this process's copy of a connection that belongs to the parent, without a word on the wire."""
        os.close(self._socket.detach())


class Pool:
    """The connections of this process to one endpoint."""

    def __init__(self, endpoint: Endpoint, size: int = CONNECTIONS) -> None:
        self._endpoint = endpoint
        self._size = size
        self._slots: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._slots.put(None)

    def exchange(self, request: bytes, limit: float) -> Answer | Failure:
        """Send a request and return what came of it by `limit`, on the clock of `time.monotonic`."""
        try:
            kept = self._slots.get(timeout=max(0.0, limit - time.monotonic()))
        except queue.Empty:
            return Failure(f"all {self._size} connections are busy")
        connection, reusable = kept, False
        try:
            if connection is not None and not connection.alive():
                connection.close()
                connection = None
            reused = connection is not None
            if connection is None:
                try:
                    connection = Connection(self._endpoint, limit)
                except OSError as error:
                    return explain(error)
            try:
                response = connection.exchange(request, limit)
            except TimeoutError:
                return NO_ANSWER
            except OSError as error:
                return Failure(str(error), sent=True, stale=reused)
            except Malformed as error:
                return Failure(str(error), sent=True, hopeless=True)
            reusable = response.reusable
            return response.answer
        finally:
            if not reusable and connection is not None:
                connection.close()
            self._slots.put(connection if reusable else None)

    def close(self) -> None:
        """Close the connections that are idle; those in use are unaffected, and later calls open new ones."""
        for connection in self._take_all():
            connection.close()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections. Takes no lock, for a lost thread may hold it."""
        for connection in self._slots.queue:
            if connection is not None:
                connection.abandon()

    def _take_all(self) -> list[Connection]:
        taken: list[Connection | None] = []
        try:
            while True:
                taken.append(self._slots.get_nowait())
        except queue.Empty:
            pass
        for _ in taken:
            self._slots.put(None)
        return [connection for connection in taken if connection is not None]


_pools: PerProcess[Endpoint, Pool] = PerProcess(Pool.abandon)


def pool_for(endpoint: Endpoint) -> Pool:
    """Return this process's pool of connections to `endpoint`."""
    pools = _pools.table()
    pool = pools.get(endpoint)
    return pool if pool is not None else pools.setdefault(endpoint, Pool(endpoint))


def _connect(endpoint: Endpoint, limit: float) -> socket.socket:
    failure: OSError = OSError(f"the name {endpoint.host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(limit))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return tls().wrap_socket(connection, server_hostname=endpoint.host) if endpoint.secure else connection
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """Return the one context of this process: the system's authorities, or those of SSL_CERT_FILE."""
    import ssl

    return ssl.create_default_context()


def explain(error: OSError) -> Failure:
    """Return what a connection that could not be made means for a call."""
    if isinstance(error, TimeoutError):
        return NO_CONNECTION
    if type(error).__name__ == "SSLCertVerificationError":
        return Failure(f"its certificate is not trusted ({error})", hopeless=True)
    return Failure(str(error), absent=isinstance(error, ConnectionRefusedError))


def _left(limit: float) -> float:
    seconds = limit - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
