"""From a URL to the arguments of the library's connections, the same for both edges; and what their failures mean."""

from __future__ import annotations

from typing import Any

import redis
from redis import asyncio as awaiting
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from messageflow.brokers.redis.connections.connector import Connector
from messageflow.brokers.redis.connections.url import Address
from messageflow.redis_publisher.edge import Broken, NotAccepted

_BLOCKING: dict[type, Any] = {
    awaiting.Connection: redis.Connection,
    awaiting.SSLConnection: redis.SSLConnection,
    awaiting.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}
ABSENT = (ConnectionRefusedError, FileNotFoundError)  # the latter for a Unix socket
_OWN = ("socket_timeout", "socket_connect_timeout", "retry_on_timeout", "health_check_interval", "decode_responses")


class Login(Connector):
    """How to be let in at the servers of one URL.

    Args:
        url: of a Redis.

    Attributes:
        service: what Sentinels are asked for.

    Raises:
        ConfigurationError: it is no URL of a Redis; does not repeat it, for it may hold a password.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, deadline=0)
        self.service = self._service

    def blocking(self, address: Address | None, seconds: float, *, sentinel: bool) -> redis.Connection:
        """Return a connection that is yet to be made, for sockets that wait that long."""
        options = {**self._options(address, sentinel), "socket_timeout": seconds, "socket_connect_timeout": seconds}
        made: redis.Connection = _BLOCKING[self._connection](**options)
        return made

    def awaiting(self, address: Address | None, *, sentinel: bool) -> awaiting.Connection:
        """Return a connection that is yet to be made, on the running event loop."""
        return self._connection(**self._options(address, sentinel), socket_timeout=None, socket_connect_timeout=None)

    def _options(self, address: Address | None, sentinel: bool) -> dict[str, Any]:
        options = {name: value for name, value in self._arguments.items() if name not in _OWN}
        if address is not None:
            options |= {"host": address.host, "port": address.port}
        if sentinel:
            options |= {**self._sentinel_login, "db": 0}
        return {**options, "driver_info": None}  # saves two questions to each connection


def explain(error: RedisError | OSError) -> Exception:
    """Return what a connection that could not be made means."""
    cause = error.__cause__ or error.__context__ or error
    if isinstance(error, AuthenticationError):
        return NotAccepted()
    if isinstance(error, RedisTimeout | TimeoutError):
        return TimeoutError()
    untrusted = type(cause).__name__ == "SSLCertVerificationError"
    hopeless = untrusted or isinstance(error, ResponseError)
    return Broken(str(error), absent=isinstance(cause, ABSENT), hopeless=hopeless)
