"""Where Redis is: from a URL to connections that are yet to be made.

`redis://`, `rediss://` (TLS, verified) and `unix://` with user, password, database and options, as the library reads
them. `redis+sentinel://host:port,host:port/service` asks Sentinels for the primary each time a connection is made, so
after a failover the next connection is to the new one; `redis+cluster://host:port,host:port` names some nodes of a
Cluster. Both have a form with `rediss`. Several URLs, apart by spaces, are shards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from redis.asyncio import Connection, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import Sentinel

from messageflow.errors import ConfigurationError

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
        self._arguments = {**found, "socket_connect_timeout": self._deadline, "protocol": 2}
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
        limits = {"socket_timeout": self._deadline, "socket_connect_timeout": self._deadline}
        secure = {name: value for name, value in self._arguments.items() if name.startswith("ssl")}
        if issubclass(self._connection, SSLConnection):
            secure["ssl"] = True
        found = Sentinel(self.addresses, **limits, **self._sentinel_login, **secure)  # type: ignore[no-untyped-call]
        try:
            return Address(*await found.discover_master(self._service))
        finally:
            for each in found.sentinels:
                await each.aclose()


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
