"""Where Redis is: from a URL to connections that are yet to be made.

What a URL may say is `url`'s to read. With Sentinels the primary is asked for each time a connection is made, so after
a failover the next connection is to the new one. Several URLs, apart by spaces, are shards.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import BusyLoadingError, MasterDownError, RedisError

from messageflow.brokers.redis.connections.error_messages import explain_connection_failure, list_causes
from messageflow.brokers.redis.connections.sentinel import ask_for_primary, read_primary
from messageflow.brokers.redis.connections.url import PLAIN, SENTINEL, TLS, UNIX, Address, parse_url
from messageflow.errors import BrokerError, ConfigurationError, Unavailable

CONNECT_AT_LEAST = 1.0  # seconds that connecting may take, however soon calls are to be answered

PASSING = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
FULL = "max number of clients reached"

MakeConnection = Callable[[], Awaitable[Connection]]

_CONNECTIONS: dict[str, type[Connection]] = {
    PLAIN: Connection,
    TLS: SSLConnection,
    UNIX: UnixDomainSocketConnection,  # type: ignore[dict-item]
}


class Connector:
    """Connections to the servers of one URL, all with the same user, password, TLS and limits.

    Args:
        url: where they are, see `url`.
        deadline: seconds that connecting may take; a second, if that is more.

    Attributes:
        kind: "", "+sentinel" or "+cluster".
        addresses: those that the URL names; none for a Unix socket.
        where: what to call it in messages.
        database: the number of it.

    Raises:
        ConfigurationError: it is no URL of a Redis; does not repeat it, for it may hold a password.
    """

    def __init__(self, url: str, deadline: float) -> None:
        found = parse_url(url)
        self._service = found.service
        self._sentinel_login = found.login_at(sentinel=True)
        self._connection = _CONNECTIONS[found.base]
        # Our own code keeps the time limits. With one of its own the library would send by `asyncio.wait_for`, which
        # before Python 3.12 may swallow the cancellation of its caller.
        limits = {"socket_connect_timeout": max(deadline, CONNECT_AT_LEAST), "socket_timeout": None}
        self._arguments: dict[str, Any] = {
            **found.options,
            **found.login_at(sentinel=False),
            **limits,
            **({"path": found.path} if found.base == UNIX else {}),
            "db": found.database,
            "protocol": 2,
        }
        self._path = found.path
        self.kind = found.kind
        self.addresses = list(found.addresses)
        self.where = found.where
        self.database = found.database

    async def connect(self) -> Connection:
        """Return a connection to the server that takes writes: the one the URL names, or the one Sentinel names."""
        if self.kind == SENTINEL:
            return self._make(await self._find_primary())
        self._find_socket()
        return self._make(self.addresses[0]) if self.addresses else self._connection(**self._arguments)

    def at(self, address: Address) -> MakeConnection:
        """Return what makes connections to another server."""

        async def make() -> Connection:
            return self._make(address)

        return make

    def _make(self, address: Address) -> Connection:
        return self._connection(**{**self._arguments, "host": address.host, "port": address.port})

    def _find_socket(self) -> None:
        """Say of a Unix socket, apart from other files of a URL, that it may be there later."""
        if self._path and not os.path.exists(self._path):
            raise Unavailable(f"Redis cannot be reached: {explain_connection_failure(FileNotFoundError())}")

    async def _find_primary(self) -> Address:
        """Ask all Sentinels at once: one that does not answer must not stand in the way of the others."""
        asked = [asyncio.ensure_future(self._ask_sentinel(sentinel)) for sentinel in self.addresses]
        problems = []
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    found = await answer
                except (RedisError, OSError) as error:
                    problems.append(error)
                else:
                    if found is not None:
                        return found
        finally:
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if len(problems) < len(asked):  # it may yet be told of it
            service = f"service called {self._service!r}"
            raise Unavailable(f"Sentinel watches no {service}: look at the end of the broker's URL")
        problem = next((each for each in problems if not heals_by_itself(each)), problems[0])
        kind = Unavailable if heals_by_itself(problem) else BrokerError
        raise kind(f"no Sentinel answers: {explain_connection_failure(problem)}") from problem

    async def _ask_sentinel(self, sentinel: Address) -> Address | None:
        """Return what one Sentinel says."""
        kept = {name: value for name, value in self._arguments.items() if name.startswith(("ssl", "socket"))}
        connection = self._connection(**{**kept, **self._sentinel_login, **sentinel._asdict(), "protocol": 2})
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command(*ask_for_primary(self._service))
            return read_primary(await connection.read_response())
        finally:
            await release(connection)


def heals_by_itself(error: BaseException) -> bool:
    """Whether a connection that could not be made may be made later, with nobody changing what was written.

    So it is with a server that has not been started yet, or loads its file, and with a name that nobody has yet. What
    answers in another way than it should, such as to a password or in TLS, goes on doing so.
    """
    causes = list(list_causes(error))
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return False
    return any(
        isinstance(cause, TimeoutError | socket.gaierror | BusyLoadingError | MasterDownError)
        or (isinstance(cause, OSError) and cause.errno in PASSING)
        or FULL in str(cause)
        for cause in causes
    )


async def release(connection: Connection) -> None:
    """Release a connection now: the peer may take nothing any more."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    await connection.disconnect(nowait=True)
    for _ in range(3):  # turns of the loop in which a transport closes
        await asyncio.sleep(0)


def split_urls(urls: str) -> list[str]:
    """Return the URLs of all shards.

    Raises:
        ConfigurationError: there is none.
    """
    found = urls.split()
    if not found:
        raise ConfigurationError("the broker's URL is empty")
    return found
