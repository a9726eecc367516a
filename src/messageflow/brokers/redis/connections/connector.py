"""Where Redis is: from a URL to connections that are yet to be made.

What a URL may say is `url`'s to read. With Sentinels the primary is asked for each time a connection is made, so after
a failover the next connection is to the new one. Several URLs, apart by spaces, are shards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError

from messageflow.brokers.redis.connections.error_messages import explain_connection_failure
from messageflow.brokers.redis.connections.sentinel import ask_for_primary, read_primary
from messageflow.brokers.redis.connections.url import PLAIN, SENTINEL, TLS, UNIX, Address, parse_url
from messageflow.errors import BrokerError, ConfigurationError

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
        deadline: seconds that connecting may take.

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
        self._deadline = deadline
        self._service = found.service
        self._sentinel_login = found.login_at(sentinel=True)
        self._connection = _CONNECTIONS[found.base]
        # Our own code keeps the time limits. With one of its own the library would send by `asyncio.wait_for`, which
        # before Python 3.12 may swallow the cancellation of its caller.
        limits = {"socket_connect_timeout": deadline, "socket_timeout": None}
        self._arguments: dict[str, Any] = {
            **found.options,
            **found.login_at(sentinel=False),
            **limits,
            **({"path": found.path} if found.base == UNIX else {}),
            "db": found.database,
            "protocol": 2,
        }
        self.kind = found.kind
        self.addresses = list(found.addresses)
        self.where = found.where
        self.database = found.database

    async def connect(self) -> Connection:
        """Return a connection to the server that takes writes: the one the URL names, or the one Sentinel names."""
        if self.kind == SENTINEL:
            return self._make(await self._find_primary())
        return self._make(self.addresses[0]) if self.addresses else self._connection(**self._arguments)

    def at(self, address: Address) -> MakeConnection:
        """Return what makes connections to another server."""

        async def make() -> Connection:
            return self._make(address)

        return make

    def _make(self, address: Address) -> Connection:
        return self._connection(**{**self._arguments, "host": address.host, "port": address.port})

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
        if len(problems) == len(asked):
            raise BrokerError(f"no Sentinel answers: {explain_connection_failure(problems[0])}") from problems[0]
        raise BrokerError(f"Sentinel watches no service called {self._service!r}: look at the end of the broker's URL")

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
