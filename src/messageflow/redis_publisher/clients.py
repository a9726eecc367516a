"""The clients of this process: one for each Redis and prefix on the blocking edge, and one for each event loop.

After a fork the child begins anew, and lets go of its copies of the parent's connections without a word on the wire.
"""

from __future__ import annotations

import asyncio

from messageflow.brokers.redis.connections.connector import split_urls
from messageflow.brokers.redis.names import Names
from messageflow.publisher.processes import PerProcess
from messageflow.redis_publisher.awaiting import Awaiting
from messageflow.redis_publisher.blocking import Blocking
from messageflow.redis_publisher.client import RedisClient
from messageflow.redis_publisher.login import Login

_Clients = dict[tuple[str, str], RedisClient]

_blocking: PerProcess[tuple[str, str], RedisClient] = PerProcess()
_awaiting: PerProcess[asyncio.AbstractEventLoop, _Clients] = PerProcess()


def check(urls: str, prefix: str) -> None:
    """See whether there can be a client.

    Makes none, nor any lock: gevent may yet patch what locks are made of.

    Raises:
        ConfigurationError: a URL or the prefix cannot be used.
    """
    Names(prefix)
    for url in split_urls(urls):
        Login(url)


def blocking_client(urls: str, prefix: str, shown: str) -> RedisClient:
    """Return this process's client; its coroutines never wait, see `edge.run_now`.

    Raises:
        ConfigurationError: a URL or the prefix cannot be used.
    """
    clients = _blocking.table()
    client = clients.get((urls, prefix))
    return (
        client
        if client is not None
        else clients.setdefault((urls, prefix), RedisClient(Blocking(), urls, prefix, shown))
    )


def asyncio_client(urls: str, prefix: str, shown: str) -> RedisClient:
    """Return the running event loop's client.

    Raises:
        ConfigurationError: a URL or the prefix cannot be used.
    """
    loop = asyncio.get_running_loop()
    loops = _awaiting.table()
    clients = loops.get(loop)
    if clients is None:
        for ended in [each for each in list(loops) if each.is_closed()]:
            loops.pop(ended, None)
        clients = loops.setdefault(loop, {})
    if (urls, prefix) not in clients:
        clients[urls, prefix] = RedisClient(Awaiting(), urls, prefix, shown)
    return clients[urls, prefix]
