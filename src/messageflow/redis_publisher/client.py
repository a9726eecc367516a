"""The client with which a flow calls straight through Redis: what gateways wrote there about channels, and the calls.

The rules are read when the first call comes, and again every half minute in which there are calls and after a
connection was made, for it may be one to a Redis that is another. With them comes the age of streams, in which this
flow begins some. A Redis that has no rules was never used by a gateway: then nothing is stored, for nobody knows how
long it should be kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from messageflow.api.api import Api
from messageflow.brokers.base import Ack
from messageflow.brokers.redis.connections.connector import split_urls
from messageflow.brokers.redis.connections.resp import ErrorReply, RedisCommand
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.streams.stream_store import read_age
from messageflow.client_io.kernel import Attempt, Broken, ClientIO
from messageflow.client_io.outcome import NoResponse, Response
from messageflow.client_io.pool import ConnectionPool
from messageflow.core.namespaces import Namespaces
from messageflow.core.redis_publishing_rules import RedisPublishingRules
from messageflow.errors import BrokerError, ConfigurationError, GatewayUnreachable, Unanswered, Unavailable
from messageflow.redis_publisher.attempt_broker import RedisApiBroker
from messageflow.redis_publisher.detection import detect, read_acks
from messageflow.redis_publisher.routing import Router
from messageflow.redis_publisher.server_connector import NotAccepted, ServerConnector
from messageflow.redis_publisher.servers import Servers

LOOK_EVERY = 30.0  # seconds


class Prepared(NamedTuple):
    """What was found in Redis, when, on the monotonic clock, and after how many connections were made."""

    namespaces: Namespaces
    size_limit: int
    window: float
    revoked_for: float
    age: int
    acks: Mapping[ConnectionPool, Ack]
    at: float
    connections: int

    def is_fresh(self, connections: int) -> bool:
        return connections == self.connections and time.monotonic() - self.at < LOOK_EVERY


class RedisClient:
    """Calls on one Redis, or several, without a gateway.

    Args:
        io: of this process or event loop.
        urls: where it is; several apart by spaces.
        prefix: what the names of everything begin with.
        shown: the URLs as they may be shown, without passwords.

    Raises:
        ConfigurationError: a URL or the prefix cannot be used.
    """

    def __init__(self, io: ClientIO, urls: str, prefix: str, shown: str) -> None:
        self._io = io
        self._shown = shown
        self._connectors = [ServerConnector(url) for url in split_urls(urls)]
        self._names = Names(prefix)
        self._routers: list[Router] = []
        self._known: Prepared | None = None
        self._looking = io.make_semaphore(1)

    async def exchange(self, method: str, body: bytes, limit: float, api_key: str = "") -> Response | NoResponse:
        """Carry out a call of the API, and return what came of it by `limit`, on the clock of `time.monotonic`.

        Raises:
            GatewayUnreachable: no gateway has used this Redis.
        """
        attempt = Attempt(limit)
        failures: list[BrokerError] = []
        try:
            known = await self._prepare(limit)
            servers = Servers(self._routers, known.acks, attempt)
            broker = RedisApiBroker(servers, self._names, known.window, known.age, limit)
            api = Api(
                broker,
                known.namespaces,
                known.size_limit,
                lambda _, error: failures.append(error),
                known.revoked_for,
            )
            answer = Response(*await api.call(method, body))
        except NotAccepted:
            return Response(401, b"")
        except (Broken, TimeoutError) as error:
            return attempt.explain(error)
        for failure in failures:
            if isinstance(failure, Unanswered | Unavailable):
                return NoResponse(str(failure), sent=isinstance(failure, Unanswered))
        return answer

    def close(self) -> None:
        """Close idle connections; later calls open new ones."""
        for router in self._routers:
            router.close()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections. Takes no lock, for a lost thread may hold it."""
        for router in self._routers:
            router.abandon()

    # What has to be known

    async def _prepare(self, limit: float) -> Prepared:
        """Return what has to be known; one caller at a time looks, and nothing it sends changes what is stored."""
        known = self._known
        if known is not None and known.is_fresh(self._count_connections()):
            return known
        await self._looking.acquire(limit)
        try:
            known = self._known
            if known is None:
                self._known = known = await self._learn(Attempt(limit))
            elif not known.is_fresh(made := self._count_connections()):
                self._known = known._replace(at=time.monotonic(), connections=made)  # will do for others meanwhile
                self._known = known = await self._learn_again(self._known, limit)
            return known
        finally:
            self._looking.release()

    def _count_connections(self) -> int:
        return sum(connector.made for connector in self._connectors)

    async def _learn(self, attempt: Attempt) -> Prepared:
        for connector in self._connectors[len(self._routers) :]:
            self._routers.append(await detect(self._io, connector, attempt))
        for router in self._routers:
            await router.prepare(attempt)
        known = await self._read_known(attempt)
        if known is None:
            raise GatewayUnreachable(
                f"no gateway has used the Redis at {self._shown} with the prefix {self._names.prefix!r} yet, so it is "
                "not known what to keep: start one with `messageflow serve --broker …` and this address, or give the "
                "prefix it was started with (argument prefix, or MESSAGEFLOW_BROKER_PREFIX); nothing was stored"
            )
        return known

    async def _learn_again(self, known: Prepared, limit: float) -> Prepared:
        """Return what is known now; what was known before is still good where nothing can be learned.

        Rules may be gone because Redis was flushed: the next sign of life of a gateway brings them back.
        """
        now = time.monotonic()
        try:
            return await self._read_known(Attempt(now + (limit - now) / 2)) or known
        except (Broken, NotAccepted, TimeoutError):
            return known

    async def _read_known(self, attempt: Attempt) -> Prepared | None:
        rules_key, age_key = self._names.rules, self._names.age
        written, ages = await Servers(self._routers, {}, attempt).execute(
            [RedisCommand(rules_key, ("GET", rules_key)), RedisCommand(age_key, ("HMGET", age_key, "age"))]
        )
        rules = _read(written)
        if rules is None:
            return None
        age = 0 if isinstance(ages, ErrorReply) else read_age(ages[0])
        acks = await read_acks([pool for router in self._routers for pool in router.pools()], attempt)
        return Prepared(
            rules.namespaces,
            rules.size_limit,
            rules.idempotency_window,
            rules.revoked_for,
            max(age, self._known.age if self._known else 0),  # what Redis lost of it, gateways bring back
            acks,
            time.monotonic(),
            self._count_connections(),
        )


def check_target(urls: str, prefix: str) -> None:
    """See whether there can be a client.

    Makes none, nor any lock: gevent may yet patch what locks are made of.

    Raises:
        ConfigurationError: a URL or the prefix cannot be used.
    """
    Names(prefix)
    for url in split_urls(urls):
        ServerConnector(url)


def _read(written: Any) -> RedisPublishingRules | None:
    """Return the rules that a gateway wrote, None where none did.

    Raises:
        Broken: they may not be read, or cannot be understood.
    """
    if isinstance(written, ErrorReply):
        raise Broken(str(written), hopeless=True)
    try:
        return None if written is None else RedisPublishingRules.from_json(written)
    except ConfigurationError as error:
        raise Broken(str(error), hopeless=True) from None
