"""Looking at every Redis that some URLs name, for people: nothing is changed and nothing kept."""

from __future__ import annotations

from messageflow.brokers.redis.connections.connector import Connector, split_urls
from messageflow.brokers.redis.connections.server_info import ServerInfo
from messageflow.brokers.redis.layouts.opening import Settings, open_layout
from messageflow.brokers.redis.names import Names


class _Nobody:
    """A listener that does not listen."""

    def on_announced(self, name: bytes, body: bytes) -> None:
        pass

    def on_missed(self) -> None:
        pass

    def on_lost(self) -> None:
        pass

    def on_back(self) -> None:
        pass


async def examine(urls: str, prefix: str = "messageflow", deadline: float = 5.0) -> dict[str, ServerInfo]:
    """Ask every server about itself.

    Args:
        urls: of one Redis, or of several shards, apart by spaces.
        prefix: of the names that would be used.
        deadline: seconds any of them may take.

    Returns:
        What was found, by where it is.

    Raises:
        ConfigurationError: one is no URL of a Redis.
        BrokerError: one cannot be reached.
    """
    found: dict[str, ServerInfo] = {}
    for url in split_urls(urls):
        settings = Settings(Names(prefix), "doctor", deadline)
        layout = await open_layout([Connector(url, deadline)], _Nobody(), settings)
        try:
            await layout.start()
            found |= await layout.inspect()
        finally:
            await layout.close()
    return found
