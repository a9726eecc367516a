"""The road past the gateways: which addresses are those of a Redis, and the step to `messageflow.redis_publisher`.

The library of Redis is an extra and heavy; it is loaded when a flow to a Redis is made, and never for any other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from messageflow.core.broker_kinds import REDIS_SCHEMES
from messageflow.errors import ConfigurationError
from messageflow.extras import missing

if TYPE_CHECKING:
    from messageflow.client_io.kernel import ApiClient, ClientIO

PREFIX = "messageflow"


class RedisTarget(NamedTuple):
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


def is_redis(url: str) -> bool:
    """Whether an address is that of a Redis."""
    return url.strip().partition("://")[0].lower() in REDIS_SCHEMES


@lru_cache(maxsize=64)
def make_redis_target(urls: str, prefix: str) -> RedisTarget:
    """Return the Redis of some addresses.

    Raises:
        ConfigurationError: an address or the prefix cannot be used, or the library is not installed.
    """
    try:
        from messageflow.redis_publisher.client import check_target
    except ImportError as error:
        if sentence := missing(error, "pushing through Redis"):
            raise ConfigurationError(sentence) from None
        raise
    check_target(urls, prefix or PREFIX)
    return RedisTarget(urls, prefix or PREFIX, mask_urls(urls))


def make_redis_client(io: ClientIO, target: RedisTarget) -> ApiClient:
    """Return a new client of a Redis."""
    from messageflow.redis_publisher.client import RedisClient

    return RedisClient(io, target.urls, target.prefix, target.url)


def mask_urls(urls: str) -> str:
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
