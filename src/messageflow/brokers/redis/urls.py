"""Where Redis is: from a URL to connections that are yet to be made.

`redis://`, `rediss://` (TLS, verified) and `unix://` with user, password and database, as the library reads them.
`redis+sentinel://host:port,host:port/service` asks Sentinels for the primary each time a connection is made, so after
a failover the next connection is to the new one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Connection
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import Sentinel

from messageflow.errors import ConfigurationError

SCHEMES = ("redis", "rediss", "unix")
SENTINEL = "redis+sentinel"
SENTINEL_PORT = 26379

Make = Callable[[], Awaitable[Connection]]


def connections(url: str, deadline: float) -> Make:
    """Return what makes a connection to the Redis of a URL.

    Args:
        url: with scheme, host, and what else the library understands.
        deadline: seconds that connecting may take.

    Raises:
        ConfigurationError: it is no URL of a Redis; does not repeat it, for it may hold a password.
    """
    try:
        scheme = urlsplit(url).scheme
        if scheme == SENTINEL:
            return _through_sentinels(url, deadline)
        if scheme not in SCHEMES:
            raise ValueError(f"the scheme is {scheme!r}")
        found = parse_url(url)
    except ValueError as error:
        raise ConfigurationError(
            f"the broker's URL cannot be used: {error}; write redis://[user:password@]host[:port][/database], "
            "rediss:// for TLS, or redis+sentinel://host:port,host:port/service"
        ) from None
    kind: type[Connection] = found.pop("connection_class", Connection)  # type: ignore[assignment]
    arguments: dict[str, Any] = {**found, "socket_connect_timeout": deadline, "protocol": 2}

    async def make() -> Connection:
        return kind(**arguments)

    return make


def _through_sentinels(url: str, deadline: float) -> Make:
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    sentinels = [_address(host) for host in hosts.split(",")]
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("it names no service that Sentinel watches")
    arguments: dict[str, Any] = {
        "db": int(database or 0),
        "username": unquote(user) or None,
        "password": unquote(password) or None,
        "socket_connect_timeout": deadline,
        "protocol": 2,
    }

    async def make() -> Connection:
        limits = {"socket_timeout": deadline, "socket_connect_timeout": deadline}
        found = Sentinel(sentinels, **limits)  # type: ignore[no-untyped-call]
        try:
            host, port = await found.discover_master(service)
        finally:
            for each in found.sentinels:
                await each.aclose()
        return Connection(host=host, port=port, **arguments)

    return make


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    if not host:
        raise ValueError("it names no Sentinel")
    return host, int(port or SENTINEL_PORT)
