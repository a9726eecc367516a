"""From the URLs of a broker to its layout: a Cluster is recognised by itself, several URLs are shards."""

from __future__ import annotations

from typing import NamedTuple

from messageflow.brokers.redis.connections.connector import Connector
from messageflow.brokers.redis.connections.pipelined import PipelinedConnection
from messageflow.brokers.redis.connections.server_info import OLDEST_SHARDED, parse_version, read_info_sections
from messageflow.brokers.redis.connections.url import CLUSTER
from messageflow.brokers.redis.layouts.base import Layout
from messageflow.brokers.redis.layouts.cluster import Cluster
from messageflow.brokers.redis.layouts.shards import Shards
from messageflow.brokers.redis.layouts.single import Single
from messageflow.brokers.redis.names import Names
from messageflow.brokers.redis.pubsub.pubsub_connection import PubSubListener
from messageflow.errors import BrokerError


class Settings(NamedTuple):
    """What all parts of a layout share.

    Args:
        names: of everything.
        node: this node's name.
        deadline: seconds a command may take.
    """

    names: Names
    node: str
    deadline: float


async def open_layout(sources: list[Connector], listener: PubSubListener, settings: Settings) -> Layout:
    """Return the layout of what is found where some URLs point, not started yet.

    Raises:
        BrokerError: something cannot be reached.
    """
    found = [await _recognise(source, listener, settings) for source in sources]
    return found[0] if len(found) == 1 else Shards(found, settings.names)


async def _recognise(source: Connector, listener: PubSubListener, settings: Settings) -> Layout:
    info: dict[str, str] = {}
    problem: BrokerError | None = None
    for make in [source.at(each) for each in source.addresses] if source.kind == CLUSTER else [source.connect]:
        link = PipelinedConnection(make, deadline=settings.deadline)
        try:
            await link.start()
            info = await read_info_sections(link.ask_one, "server", "cluster")
            break
        except BrokerError as error:
            problem = error
        finally:
            await link.close()
    if not info:
        raise problem or BrokerError("Redis says nothing of itself")
    if info.get("cluster_enabled") != "1":
        return Single(source, listener, *settings)
    return Cluster(source, listener, *settings, sharded=parse_version(info.get("redis_version", "")) >= OLDEST_SHARDED)
