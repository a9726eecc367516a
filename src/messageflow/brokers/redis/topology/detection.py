"""From the URLs of a broker to its topology: a Cluster is detected by itself, several URLs are shards.

Owns the question what stands behind a URL, for a gateway that starts and for `messageflow doctor`; keeps nothing, and
changes nothing in Redis.
"""

from __future__ import annotations

from typing import NamedTuple

from messageflow.brokers.redis.connections.connector import Connector, split_urls
from messageflow.brokers.redis.connections.reconnecting_connection import ReconnectingConnection
from messageflow.brokers.redis.connections.server_check import (
    ServerInfo,
    choose_announcing,
    is_cluster,
    read_info_sections,
)
from messageflow.brokers.redis.connections.url import CLUSTER
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.pubsub.pubsub_connection import PubSubListener
from messageflow.brokers.redis.topology.cluster import ClusterTopology
from messageflow.brokers.redis.topology.shards import ShardedTopology
from messageflow.brokers.redis.topology.single import SingleTopology
from messageflow.brokers.redis.topology.topology import Topology
from messageflow.errors import BrokerError, Unavailable


class TopologySettings(NamedTuple):
    """What all parts of a topology share.

    Args:
        names: of everything.
        node: this node's name.
        deadline: seconds a command may take.
    """

    names: Names
    node: str
    deadline: float


async def open_topology(connectors: list[Connector], listener: PubSubListener, settings: TopologySettings) -> Topology:
    """Return the topology of what is found where some URLs point, not started yet.

    Raises:
        BrokerError: something cannot be reached.
    """
    found = [await _detect(connector, listener, settings) for connector in connectors]
    return found[0] if len(found) == 1 else ShardedTopology(found, settings.names)


async def _detect(connector: Connector, listener: PubSubListener, settings: TopologySettings) -> Topology:
    info: dict[str, str] = {}
    problem: BrokerError | None = None
    for make in (
        [connector.at(each) for each in connector.addresses] if connector.kind == CLUSTER else [connector.connect]
    ):
        connection = ReconnectingConnection(make, deadline=settings.deadline)
        try:
            await connection.start()
            info = await read_info_sections(connection.execute_one, "server", "cluster")
            break
        except BrokerError as error:
            if problem is None or not isinstance(error, Unavailable):  # what no waiting heals is what to say
                problem = error
        finally:
            await connection.close()
    if not info:
        raise problem or BrokerError("Redis says nothing of itself")
    if not is_cluster(info):
        return SingleTopology(connector, listener, *settings)
    return ClusterTopology(connector, listener, *settings, announces=choose_announcing(info))


class _DeafListener:
    """A listener that does not listen."""

    def on_announced(self, name: bytes, body: bytes) -> None:
        pass

    def on_missed(self) -> None:
        pass

    def on_lost(self) -> None:
        pass

    def on_back(self) -> None:
        pass


async def inspect_servers(urls: str, prefix: str = "messageflow", deadline: float = 5.0) -> dict[str, ServerInfo]:
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
        settings = TopologySettings(Names(prefix), "doctor", deadline)
        topology = await open_topology([Connector(url, deadline)], _DeafListener(), settings)
        try:
            await topology.start()
            found |= await topology.inspect()
        finally:
            await topology.close()
    return found
