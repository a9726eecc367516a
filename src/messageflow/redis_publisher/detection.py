"""What a Redis is, found out when it is first used: one server or a Cluster, and what storing there means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from messageflow.brokers.base import Ack
from messageflow.brokers.redis.connections.resp import ErrorReply, Value
from messageflow.brokers.redis.connections.server_check import is_cluster, judge_server, read_info_sections
from messageflow.brokers.redis.connections.url import CLUSTER, SENTINEL
from messageflow.client_io.kernel import Attempt, Broken, ClientIO
from messageflow.client_io.pool import ConnectionPool, exchange
from messageflow.redis_publisher.routing import ClusterRouter, PrimaryRouter, Router
from messageflow.redis_publisher.server_connector import ServerConnector, make_part
from messageflow.redis_publisher.servers import give_up


async def detect(io: ClientIO, connector: ServerConnector, attempt: Attempt) -> Router:
    """Return the router of what is found at a URL: a Cluster is recognised by itself.

    Raises:
        Broken, NotAccepted, TimeoutError: it cannot be asked.
    """
    if connector.kind == CLUSTER:
        return ClusterRouter(io, connector)
    primary = PrimaryRouter(io, connector)
    if connector.kind == SENTINEL or not connector.addresses:
        return primary
    try:
        info = await read_info_sections(_Asking(primary.pool(""), attempt), "cluster")
    except ErrorReply:  # this user may not ask
        return primary
    except BaseException:
        primary.close()
        raise
    if not is_cluster(info):
        return primary
    primary.close()
    return ClusterRouter(io, connector)


async def read_acks(pools: Iterable[ConnectionPool], attempt: Attempt) -> dict[ConnectionPool, Ack]:
    """Return what storing means at each server.

    Raises:
        NotAccepted, TimeoutError: one cannot be asked.
    """
    return {pool: await _read_ack(_Asking(pool, attempt)) for pool in pools}


async def _read_ack(ask: _Asking) -> Ack:
    info: dict[str, str] = {}
    settings: dict[str, str] = {}
    try:
        info = await read_info_sections(ask, "persistence")
        _, setting = await ask("CONFIG", "GET", "appendfsync")
        settings["appendfsync"] = setting.decode()
    except (ErrorReply, ValueError, Broken):
        pass  # this user may not ask, or nobody can now; what is not known is not promised
    return judge_server(info, settings).ack


class _Asking:
    """Sends one command to one server, and returns the reply."""

    def __init__(self, pool: ConnectionPool, attempt: Attempt) -> None:
        self._pool = pool
        self._attempt = attempt

    async def __call__(self, *command: Value) -> Any:
        [[reply]] = await exchange([make_part(self._pool, [command])], self._attempt)
        if isinstance(reply, ErrorReply):
            give_up(reply)
            raise reply
        return reply
