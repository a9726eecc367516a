"""The ways of this process: one for each Redis and prefix on the blocking edge, and one for each event loop.

After a fork the child begins anew, and lets go of its copies of the parent's connections without a word on the wire.
"""

from __future__ import annotations

import asyncio

from messageflow.brokers.redis.names import Names
from messageflow.brokers.redis.urls import split
from messageflow.direct.awaiting import Awaiting
from messageflow.direct.blocking import Blocking
from messageflow.direct.login import Login
from messageflow.direct.way import Way
from messageflow.publisher.processes import PerProcess

_Ways = dict[tuple[str, str], Way]

_blocking: PerProcess[tuple[str, str], Way] = PerProcess()
_awaiting: PerProcess[asyncio.AbstractEventLoop, _Ways] = PerProcess()


def check(urls: str, prefix: str) -> None:
    """See whether there can be a way.

    Makes none, nor any lock: gevent may yet patch what locks are made of.

    Raises:
        ConfigurationError: a URL or the prefix cannot be used.
    """
    Names(prefix)
    for url in split(urls):
        Login(url)


def blocking_way(urls: str, prefix: str, shown: str) -> Way:
    """Return this process's way; its coroutines never wait, see `edge.run_now`.

    Raises:
        ConfigurationError: a URL or the prefix cannot be used.
    """
    ways = _blocking.table()
    way = ways.get((urls, prefix))
    return way if way is not None else ways.setdefault((urls, prefix), Way(Blocking(), urls, prefix, shown))


def awaiting_way(urls: str, prefix: str, shown: str) -> Way:
    """Return the running event loop's way.

    Raises:
        ConfigurationError: a URL or the prefix cannot be used.
    """
    loop = asyncio.get_running_loop()
    loops = _awaiting.table()
    ways = loops.get(loop)
    if ways is None:
        for ended in [each for each in list(loops) if each.is_closed()]:
            loops.pop(ended, None)
        ways = loops.setdefault(loop, {})
    if (urls, prefix) not in ways:
        ways[urls, prefix] = Way(Awaiting(), urls, prefix, shown)
    return ways[urls, prefix]
