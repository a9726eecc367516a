"""What a flow speaks to, in the words of its errors: a gateway, or Redis.

Pure. Nothing here repeats a password.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class Peer(NamedTuple):
    """The other side of a call.

    Args:
        url: where it is.
        name: as the subject of a sentence.
        absent: the sentence for an address where nobody listens.
        unauthorized: the sentence for a key or password that is not accepted.
    """

    url: str
    name: str
    absent: str
    unauthorized: str


@lru_cache(maxsize=64)
def describe_gateway(url: str) -> Peer:
    """Return a gateway that is reached over HTTP, or in this process."""
    return Peer(
        url,
        f"the gateway at {url}",
        f"no gateway answers at {url}: start one with `messageflow serve --dev` or set MESSAGEFLOW_URL",
        f"the gateway at {url} does not accept the API key: set MESSAGEFLOW_API_KEY (or Flow(api_key=…)) to the "
        "gateway's own; `messageflow serve --dev` leaves its key where programs of the same project find it",
    )


@lru_cache(maxsize=64)
def describe_redis(url: str) -> Peer:
    """Return a Redis that is used without a gateway in between."""
    return Peer(
        url,
        f"the Redis at {url}",
        f"no Redis answers at {url}: start it, or check the address (argument url, or MESSAGEFLOW_URL); "
        "nothing was stored",
        f"the Redis at {url} does not accept the user and password of its URL, or wants some: write "
        "redis://user:password@host, with the special characters of a password percent-encoded",
    )
