"""Where Redis is: from a URL to connections that are yet to be made.

`redis://`, `rediss://` (TLS, verified) and `unix://` with user, password, database and options, as the library reads
them. `redis+sentinel://host:port,host:port/service` asks Sentinels for the primary each time a connection is made, so
after a failover the next connection is to the new one; `redis+cluster://host:port,host:port` names some nodes of a
Cluster. Both have a form with `rediss`. Several URLs, apart by spaces, are shards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from redis.asyncio import Connection, SSLConnection
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from messageflow.brokers.redis.refusals import explained
from messageflow.errors import BrokerError, ConfigurationError

PLAIN, TLS, UNIX = "redis", "rediss", "unix"
SENTINEL, CLUSTER = "+sentinel", "+cluster"
SCHEMES = (PLAIN, TLS, UNIX, *(scheme + kind for kind in (SENTINEL, CLUSTER) for scheme in (PLAIN, TLS)))
SENTINEL_PORT, REDIS_PORT = 26379, 6379

Make = Callable[[], Awaitable[Connection]]


class Address(NamedTuple):
    """Of one server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Source:
    """Connections to the servers of one URL, all with the same user, password, TLS and limits.

    Args:
        url: with scheme, host, and what else the library understands.
        deadline: seconds that connecting may take.

    Attributes:
        kind: "", "+sentinel" or "+cluster".
        addresses: those that the URL names; none for a Unix socket.
        where: what to call it in messages.

    Raises:
        ConfigurationError: it is no URL of a Redis; does not repeat it, for it may hold a password.
    """

    def __init__(self, url: str, deadline: float) -> None:
        self._deadline = deadline
        self._service = ""
        try:
            self._read(url)
        except ValueError as error:
            raise ConfigurationError(
                f"the broker's URL cannot be used: {error}; write redis://[user:password@]host[:port][/database], "
                "rediss:// for TLS, redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port"
            ) from None

    def _read(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(f"the scheme is {parts.scheme!r}")
        base, plus, kind = parts.scheme.partition("+")
        self.kind = plus + kind
        login, at, hosts = parts.netloc.rpartition("@")
        path, host = parts.path, hosts
        if self.kind:
            host = "localhost"
            default = SENTINEL_PORT if self.kind == SENTINEL else REDIS_PORT
            self.addresses = [_address(text, default) for text in hosts.split(",")]
        if self.kind == SENTINEL:
            self._service, _, path = parts.path.strip("/").partition("/")
            if not self._service:
                raise ValueError("it names no service that Sentinel watches")
        found: dict[str, Any] = dict(parse_url(f"{base}://{login}{at}{host}/{path.strip('/')}?{parts.query}"))
        if base == UNIX:
            found = dict(parse_url(url))
        self._sentinel_login = {
            "username": found.pop("sentinel_username", None),
            "password": found.pop("sentinel_password", None),
        }
        self._connection: type[Connection] = found.pop("connection_class", SSLConnection if base == TLS else Connection)
        # Who uses a connection limits how long it takes. With a limit of its own the library would send by
        # `asyncio.wait_for`, which before Python 3.12 may pass over that whoever waits was cancelled.
        limits = {"socket_connect_timeout": self._deadline, "socket_timeout": None}
        self._arguments = {**found, **limits, "protocol": 2}
        if not self.kind:
            self.addresses = (
                [] if base == UNIX else [Address(found.get("host", "localhost"), found.get("port", REDIS_PORT))]
            )
        self.where = self._service or ",".join(map(str, self.addresses)) or found.get("path", "")

    async def connect(self) -> Connection:
        """Return a connection to the server that takes writes: the one the URL names, or whom Sentinel names."""
        if self.kind == SENTINEL:
            return self._made(await self._primary())
        return self._made(self.addresses[0]) if self.addresses else self._connection(**self._arguments)

    def at(self, address: Address) -> Make:
        """Return what makes connections to another server."""

        async def make() -> Connection:
            return self._made(address)

        return make

    def _made(self, address: Address) -> Connection:
        return self._connection(**{**self._arguments, "host": address.host, "port": address.port})

    async def _primary(self) -> Address:
        """Ask all Sentinels at once: one that does not answer must not stand in the way of the others."""
        asked = [asyncio.ensure_future(self._named_by(sentinel)) for sentinel in self.addresses]
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
            raise BrokerError(f"no Sentinel answers: {explained(problems[0])}") from problems[0]
        raise BrokerError(f"Sentinel watches no service called {self._service!r}: look at the end of the broker's URL")

    async def _named_by(self, sentinel: Address) -> Address | None:
        """Return what one Sentinel says."""
        kept = {name: value for name, value in self._arguments.items() if name.startswith(("ssl", "socket"))}
        connection = self._connection(**kept, **self._sentinel_login, **sentinel._asdict(), protocol=2)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            reply = await connection.read_response()
        finally:
            await let_go(connection)
        return Address(reply[0].decode(), int(reply[1])) if reply else None


async def let_go(connection: Connection) -> None:
    """Release a connection now: the peer may take nothing any more."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    await connection.disconnect(nowait=True)
    for _ in range(3):  # turns of the loop in which a transport closes
        await asyncio.sleep(0)


def split(urls: str) -> list[str]:
    """Return the URLs of all shards.

    Raises:
        ConfigurationError: there is none.
    """
    found = urls.split()
    if not found:
        raise ConfigurationError("the broker's URL is empty")
    return found


def _address(text: str, port: int) -> Address:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("it names no host")
    return Address(unquote(parts.hostname), parts.port or port)
