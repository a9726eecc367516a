"""By what name each kind of broker is asked for: a word, or URLs of its schemes.

The one list of them: the gateway's setting is checked by it, the choice is made by it (`gateway.broker_choice`), and a
flow knows by it what to reach without a gateway (`publisher.redis_target`). Pure.
"""

from __future__ import annotations

from enum import Enum

REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


class BrokerKind(Enum):
    """What keeps the streams; the values are the words for it."""

    EMBEDDED = "embedded"
    MEMORY = "memory"
    REDIS = "redis"


WORDS = {kind.value: kind for kind in (BrokerKind.EMBEDDED, BrokerKind.MEMORY)}
"""The kinds that live in a process of the gateway."""

SCHEMES = dict.fromkeys(REDIS_SCHEMES, BrokerKind.REDIS)
"""The kinds that are servers of their own, which every worker speaks to by itself."""


def find_broker_kind(name: str) -> BrokerKind | None:
    """Return the kind of broker that a name asks for, None for none.

    Args:
        name: a word, or URLs apart by spaces, all of one kind.
    """
    if name in WORDS:
        return WORDS[name]
    kinds = {SCHEMES.get(url.partition("://")[0]) if "://" in url else None for url in name.split()}
    return kinds.pop() if len(kinds) == 1 else None
