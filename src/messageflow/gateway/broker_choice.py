"""Which broker the settings ask for, made.

By which name each is asked for: `core.broker_kinds`.
"""

from __future__ import annotations

import hashlib
import secrets

from messageflow.brokers.base import Broker
from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.brokers.local import LocalBroker
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.broker_kinds import WORDS, BrokerKind, find_broker_kind
from messageflow.core.redis_publishing_rules import RedisPublishingRules
from messageflow.core.revocations import kept_for
from messageflow.errors import ConfigurationError
from messageflow.extras import missing
from messageflow.gateway.settings import Settings


def is_shared(settings: Settings) -> bool:
    """Whether the broker is a server of its own, which every worker speaks to by itself."""
    return settings.streams.broker not in WORDS


def make_local_broker(settings: Settings) -> LocalBroker:
    """Return the broker of a gateway that is one process, or of the parent of several."""
    options = settings.streams
    if find_broker_kind(options.broker) is BrokerKind.MEMORY:
        return MemoryBroker(memory=options.stream_memory, idempotency_window=options.idempotency_window)
    return EmbeddedBroker(
        settings.own_directory,
        ack=options.ack,
        memory=options.stream_memory,
        disk=options.stream_disk,
        idempotency_window=options.idempotency_window,
        reset_damaged=options.reset_damaged,
    )


def make_broker(settings: Settings, node: str = "") -> Broker:
    """Return the broker of one gateway process.

    Args:
        settings: name it.
        node: the name of the process among all that share the broker.

    Raises:
        ConfigurationError: its library is not installed, or its URL cannot be used.
    """
    return _make_redis_broker(settings, node) if is_shared(settings) else make_local_broker(settings)


def _make_redis_broker(settings: Settings, node: str) -> Broker:
    try:
        from messageflow.brokers.redis.broker import RedisBroker
        from messageflow.brokers.redis.connections.connector import Connector, split_urls
    except ImportError as error:
        if sentence := missing(error, "a Redis broker"):
            raise ConfigurationError(sentence) from None
        raise
    options = settings.streams
    sources = [Connector(url, options.broker_deadline) for url in split_urls(options.broker)]
    directory = settings.data_dir  # without one nothing is remembered beside Redis, which a gateway can do without
    place = " ".join([*(f"{each.kind}{each.where}/{each.database}" for each in sources), options.broker_prefix])
    return RedisBroker(
        sources,
        node or secrets.token_urlsafe(8),
        prefix=options.broker_prefix,
        rules=RedisPublishingRules.of(
            settings.namespaces,
            size_limit=settings.limits.payload_size_limit,
            idempotency_window=options.idempotency_window,
            revoked_for=kept_for(settings.tokens.token_lifetime_limit),
        ).to_json(),
        idempotency_window=options.idempotency_window,
        deadline=options.broker_deadline,
        memory=directory and directory / "redis" / hashlib.sha256(place.encode()).hexdigest()[:16],
    )
