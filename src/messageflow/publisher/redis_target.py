"""The road past the gateways: which addresses are those of a Redis, and the step to `messageflow.redis_publisher`.

The library of Redis is an extra and heavy; it is loaded when a flow to a Redis is made, and never for any other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from messageflow.errors import ConfigurationError
from messageflow.extras import missing
from messageflow.publisher.http1 import Answer, Failure

if TYPE_CHECKING:
    from messageflow.redis_publisher.client import RedisClient

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
PREFIX = "messageflow"


class Redis(NamedTuple):
    """A Redis, or several that are shards. Its `repr` tells no password.

    Args:
        urls: where they are, apart by spaces.
        prefix: what the names of everything there begin with.
        url: where they are, without users, passwords and options.
    """

    urls: str
    prefix: str
    url: str

    def __repr__(self) -> str:
        return f"Redis({self.url})"

    def exchange(self, method: str, body: bytes, limit: float) -> Answer | Failure:
        """Carry out a call, and return what came of it by `limit`, on the clock of `time.monotonic`.

        Raises:
            GatewayUnreachable: no gateway has used this Redis.
        """
        from messageflow.redis_publisher.edge import run_now

        return run_now(self._blocking().exchange(method, body, limit))

    async def exchange_async(self, method: str, body: bytes, limit: float) -> Answer | Failure:
        """The same to await. Cancelling it closes the connection it used; the call may have arrived."""
        return await self._awaiting().exchange(method, body, limit)

    def close(self) -> None:
        """Close this process's idle connections."""
        self._blocking().close()

    async def close_async(self) -> None:
        """Close the running event loop's idle connections."""
        import asyncio

        self._awaiting().close()
        await asyncio.sleep(0)  # lets the loop close the sockets before it may be closed itself

    def _blocking(self) -> RedisClient:
        from messageflow.redis_publisher.clients import blocking_client

        return blocking_client(self.urls, self.prefix, self.url)

    def _awaiting(self) -> RedisClient:
        from messageflow.redis_publisher.clients import asyncio_client

        return asyncio_client(self.urls, self.prefix, self.url)


def is_redis(url: str) -> bool:
    """Whether an address is that of a Redis."""
    return url.strip().partition("://")[0].lower() in SCHEMES


@lru_cache(maxsize=64)
def redis_at(urls: str, prefix: str) -> Redis:
    """Return the Redis of some addresses.

    Raises:
        ConfigurationError: an address or the prefix cannot be used, or the library is not installed.
    """
    try:
        from messageflow.redis_publisher.clients import check
    except ImportError as error:
        if sentence := missing(error, "pushing through Redis"):
            raise ConfigurationError(sentence) from None
        raise
    check(urls, prefix or PREFIX)
    return Redis(urls, prefix or PREFIX, masked(urls))


def masked(urls: str) -> str:
    """Return addresses as they may be shown: without users, passwords and options."""
    shown = []
    for url in urls.split():
        try:
            parts = urlsplit(url)
        except ValueError:
            shown.append("redis://…")
            continue
        shown.append(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
    return " ".join(shown)
