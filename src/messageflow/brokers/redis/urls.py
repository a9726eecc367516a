"""Where Redis is: from a URL to connections that are yet to be made.

`redis://`, `rediss://` (TLS, verified) with user, password and database, as the library reads them. Further schemes
name what finds the server first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Connection
from redis.asyncio.connection import parse_url

from messageflow.errors import ConfigurationError

SCHEMES = ("redis", "rediss", "unix")


def connections(url: str, deadline: float) -> Callable[[], Connection]:
    """Return what makes a connection to the Redis of a URL.

    Args:
        url: with scheme, host, and what else the library understands.
        deadline: seconds that connecting may take.

    Raises:
        ConfigurationError: it is no URL of a Redis; does not repeat it, for it may hold a password.
    """
    try:
        scheme = urlsplit(url).scheme
        if scheme not in SCHEMES:
            raise ValueError(f"the scheme is {scheme!r}")
        found = parse_url(url)
    except ValueError as error:
        raise ConfigurationError(
            f"the broker's URL cannot be used: {error}; write redis://[user:password@]host[:port][/database], "
            "or rediss:// for TLS"
        ) from None
    kind = found.pop("connection_class", Connection)
    arguments: dict[str, Any] = {**found, "socket_connect_timeout": deadline, "protocol": 2}

    def make() -> Connection:
        connection: Connection = kind(**arguments)  # type: ignore[assignment]  # of the URL scheme
        return connection

    return make
