"""What a flow was told, and what it finds out when it is first used.

A flow may be made before its gateway is there, at import time for example. It therefore looks for the gateway when it
first needs it, and looks again after it was not found or did not let us in. Owns no connection.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine, Iterable
from copy import copy
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from messageflow.client_io.blocking_io import BLOCKING
from messageflow.client_io.http1 import Endpoint
from messageflow.client_io.http_client import HttpClient
from messageflow.client_io.kernel import ApiClient, ClientIO, run_now
from messageflow.client_io.outcome import Response
from messageflow.core.credentials import credential
from messageflow.core.durations import parse_duration
from messageflow.core.gateway_paths import SCRIPT_PATH
from messageflow.core.token_limits import LIFETIME_LIMIT
from messageflow.errors import ConfigurationError, GatewayUnreachable, MessageflowError, Unauthorized
from messageflow.handlers.decorators import Decorators
from messageflow.publisher import discovery, error_texts, inprocess, requests, served_loops, testruns, tokens
from messageflow.publisher.arguments import find_several
from messageflow.publisher.batch import Batch, encode_command
from messageflow.publisher.call import Call
from messageflow.publisher.discovery import Place
from messageflow.publisher.encoding import encode
from messageflow.publisher.inprocess import InProcess, InProcessClient
from messageflow.publisher.later_sender import LaterSender, get_sender
from messageflow.publisher.redis_target import RedisTarget, is_redis, make_redis_client, mask_urls
from messageflow.publisher.requests import User
from messageflow.publisher.results import Receipt
from messageflow.publisher.retry import Retry
from messageflow.publisher.stand_in import StandIn, find_stand_in
from messageflow.publisher.transaction import find_transaction, is_any_open

if TYPE_CHECKING:
    from messageflow.handlers.webhook import Webhook

T = TypeVar("T")

TIMEOUT = 5.0
ONLINE_AT_ONCE = 1000  # users in one call
IN_PROCESS = "this process"
TEST_RUN = (
    "this is a test run, which does not push into the development gateway that happens to run at {}: set "
    "MESSAGEFLOW_URL, or give Flow its url, where it should; nothing was stored"
)
FOREIGN = (
    "what answers at {} is not the development gateway of this project, which was there once and has ended: start "
    "`messageflow serve --dev` again; nothing was stored"
)


class FlowBase(Decorators):
    """The common part of `Flow` and `AsyncFlow`; see there for the arguments.

    Attributes:
        _io: what a face waits by. All that performs a call is written once, as coroutines over it.
    """

    _io: ClientIO

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        token_secret: str | None = None,
        timeout: float = TIMEOUT,
        token_issuer: str | None = None,
        token_audience: str | None = None,
        prefix: str | None = None,
        base_path: str | None = None,
        token_lifetime_limit: timedelta | float | None = None,
    ) -> None:
        if not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, not {timeout!r}")
        if url:
            discovery.find_endpoint(url, prefix, base_path=base_path)
        self._url = url
        self._api_key = api_key
        self._token_secret = credential(token_secret or "")
        self._timeout = timeout
        self._issuer = token_issuer
        self._audience = token_audience
        self._prefix = prefix
        self._base_path = base_path
        self._limit = (
            None if token_lifetime_limit is None else tokens.read_ttl(token_lifetime_limit, name="token_lifetime_limit")
        )
        self._found: Place | None = None
        self._used: Place | None = None  # found last, also when it was forgotten since
        self._webhook: Webhook | None = None

    @staticmethod
    def _encode(value: Any) -> bytes:
        return encode(value, "result")

    def __repr__(self) -> str:
        shown = mask_urls(self._url) if self._url and is_redis(self._url) else self._url
        return f"{type(self).__name__}({shown!r})" if shown else f"{type(self).__name__}()"

    @property
    def webhook(self) -> Webhook:
        """What a gateway elsewhere asks the handlers of this flow by: a WSGI and an ASGI application."""
        if self._webhook is None:
            from messageflow.handlers.webhook import Webhook  # which most flows need not

            self._webhook = Webhook(self.handlers, discovery.find_hooks_secrets)
        return self._webhook

    @property
    def url(self) -> str:
        """Where the gateway is: as given, or from the environment or the file of a development gateway.

        Of a Redis without user, password and options.
        """
        stand_in = find_stand_in()
        return (stand_in and stand_in.url) or self._find_reachable().endpoint.url

    @property
    def script_url(self) -> str:
        """Where pages load the browser client from.

        MESSAGEFLOW_SCRIPT_URL, where that is set. Else a path, for pages that share an address with the gateway, as
        under `messageflow run` or behind a proxy; the address of a development gateway that runs beside.
        """
        if (stand_in := find_stand_in()) is not None and stand_in.script_url:
            return stand_in.script_url
        if told := _read_variable("SCRIPT_URL"):
            return told
        if self._url is None and not inprocess.is_here():
            place = self._find_place()
            if place.found:
                return f"{place.endpoint.url}{SCRIPT_PATH}"
        return SCRIPT_PATH

    @property
    def token_lifetime_limit(self) -> float:
        """Seconds a token may live, as far as this flow was told."""
        return self._read_lifetime_limit()

    def _find_gateway(self) -> InProcess | Place | StandIn:
        stand_in = find_stand_in()
        return self._find_own_gateway() if stand_in is None else stand_in.find_gateway(self._find_own_gateway)

    def _find_own_gateway(self) -> InProcess | Place:
        if self._url is None and (gateway := inprocess.find_installed()) is not None:
            return gateway
        place = self._find_reachable()
        if isinstance(place.endpoint, RedisTarget):
            return place
        return inprocess.find_installed_at(place.endpoint, place.api_key) or place

    def _find_reachable(self) -> Place:
        place = self._find_place()
        if place.absent:
            self._found = None  # it may begin at any time
            raise GatewayUnreachable(place.absent)
        return place

    def _find_place(self) -> Place:
        if self._found is None:
            found = discovery.find(
                self._url, self._api_key, self._token_secret, prefix=self._prefix, base_path=self._base_path
            )
            if found.found and testruns.is_under_test():
                found = found._replace(absent=TEST_RUN.format(found.endpoint.url))
            self._found = self._used = found
        return self._found

    def _forget(self, error: BaseException, gateway: InProcess | Place | StandIn) -> bool:
        """Look for the gateway anew after an error that a change of address or key would explain.

        Returns:
            Whether nobody had named that gateway, and it is at another address by now: the call is worth repeating.

        Raises:
            GatewayUnreachable: what answers there now is the gateway of another project.
        """
        if not isinstance(error, Unauthorized | GatewayUnreachable):
            return False
        self._found = None
        if isinstance(gateway, InProcess | StandIn) or not gateway.found:
            return False
        place = self._find_place()
        if (place.endpoint, place.api_key) != (gateway.endpoint, gateway.api_key) or place.absent:
            return True  # to be told there if it has ended
        self._found = None
        if isinstance(error, Unauthorized) and gateway.own_key:
            raise GatewayUnreachable(FOREIGN.format(gateway.endpoint.url)) from error
        return False

    @property
    def _target(self) -> tuple[str | None, ...]:
        """What it was told of where calls go; flows of which that is equal share what they collect and send later."""
        return self._url, self._api_key, self._prefix, self._base_path

    def _publish(self, call: Call[Receipt]) -> Coroutine[Any, Any, Receipt]:
        """Perform a call that publishes, unless a transaction collects it."""
        return self._collect(call) if is_any_open() else self._perform(call)

    async def _collect(self, call: Call[Receipt]) -> Receipt:
        found = find_transaction(self._target)
        return await self._perform(call) if found is None else found.collect(call)

    def _join_transaction(self, batch: Batch) -> None:
        """Leave a batch that is to be sent now to the transaction that collects, if there is one."""
        found = find_transaction(self._target)
        if found is not None:
            batch.join(found)

    def _publish_later(self, call: Call[Receipt]) -> None:
        found = find_transaction(self._target)
        if found is None:
            self._send_later(call)
        else:
            found.collect_later(call)

    def _send_later(self, call: Call[Receipt]) -> None:
        stand_in = find_stand_in()
        if stand_in is not None and stand_in.perform_later(lambda: self._make_performer()(call)):
            return
        self._get_sender().put(encode_command(call))

    def _get_sender(self) -> LaterSender:
        return get_sender(self._target, self._make_performer)

    def _make_performer(self) -> Callable[[Call[Any]], Any]:
        """Return what performs calls on a thread, for an `AsyncFlow` too."""
        flow = copy(self)
        flow._io = BLOCKING
        return lambda call: run_now(flow._perform(call))

    async def _find_online(self, user: User | Iterable[User]) -> bool | set[User]:
        """Ask about one user, or about many in calls of so many."""
        users = find_several(user)
        if users is None:
            return await self._perform(requests.online(cast(User, user)))
        found: set[User] = set()
        for start in range(0, len(users), ONLINE_AT_ONCE):
            online = await self._perform(requests.online_many(users[start : start + ONLINE_AT_ONCE]))
            found.update(online)
        return found

    async def _perform(self, call: Call[T]) -> T:
        if self._io.blocks:
            served_loops.refuse_to_block()
        gateway = self._find_gateway()
        try:
            return await self._attempt(call, gateway)
        except MessageflowError as error:
            if not self._forget(error, gateway):
                raise
        return await self._attempt(call, self._find_gateway())

    async def _attempt(self, call: Call[T], gateway: InProcess | Place | StandIn) -> T:
        retry = self._make_retry(call, gateway)
        client, api_key = self._get_client(gateway)
        while True:
            outcome = await client.exchange(call.method, call.body, retry.compute_limit(time.monotonic()), api_key)
            pause = retry.decide_pause(outcome, time.monotonic())
            if isinstance(outcome, Response) and pause is None:
                return retry.read(call, outcome)
            await self._io.sleep(pause or 0)

    def _get_client(self, gateway: InProcess | Place | StandIn) -> tuple[ApiClient, str]:
        """Return what carries calls out there, and the key it takes."""
        if isinstance(gateway, StandIn):
            return gateway.get_client(self._io)
        if isinstance(gateway, InProcess):
            return InProcessClient(self._io, gateway), ""
        endpoint = gateway.endpoint
        if isinstance(endpoint, RedisTarget):
            return self._io.get_client(endpoint, make_redis_client), ""
        return self._io.get_client(endpoint, HttpClient), gateway.api_key

    def _close(self) -> None:
        if self._used is not None:
            self._get_client(self._used)[0].close()

    def _make_retry(self, call: Call[Any], gateway: InProcess | Place | StandIn) -> Retry:
        if isinstance(gateway, StandIn):
            peer = error_texts.describe_gateway(gateway.url)
        else:
            peer = _describe_peer(None if isinstance(gateway, InProcess) else gateway.endpoint)
        return Retry(peer, stores=call.stores, timeout=self._timeout, now=time.monotonic())

    def _sign(self, claims: dict[str, Any], extra: dict[str, Any] | None = None) -> str:
        issuer = _read_variable("TOKEN_ISSUER") if self._issuer is None else self._issuer
        audience = _read_variable("TOKEN_AUDIENCE") if self._audience is None else self._audience
        stand_in = find_stand_in()
        secret = (stand_in and stand_in.token_secret) or self._token_secret or self._find_place().token_secret
        limit = self._read_lifetime_limit()
        return tokens.sign(claims, secret, limit, issuer=issuer, audience=audience, extra=extra)

    def _read_lifetime_limit(self) -> float:
        if self._limit is not None:
            return self._limit
        text = _read_variable("TOKEN_LIFETIME_LIMIT")
        try:
            return parse_duration(text) if text else LIFETIME_LIMIT
        except ValueError:
            raise ConfigurationError(
                f"MESSAGEFLOW_TOKEN_LIFETIME_LIMIT is {text!r}: write a duration, such as 3600, 12h or 30d"
            ) from None

    def _make_token(
        self,
        user: User,
        ttl: timedelta | float,
        channels: Iterable[str],
        info: Any,
        allow: Iterable[str],
        claims: dict[str, Any],
    ) -> str:
        seconds = tokens.read_ttl(ttl, self._read_lifetime_limit())
        own = tokens.make_connection_claims(user, seconds, time.time(), channels=channels, info=info, allow=allow)
        return self._sign(own, claims)

    def _make_ticket(
        self,
        user: User,
        channels: Iterable[str],
        ttl: timedelta | float,
        lifetime: timedelta | float,
        info: Any,
    ) -> str:
        limit = self._read_lifetime_limit()
        seconds, life = tokens.read_ttl(ttl, limit), min(limit, tokens.read_ttl(lifetime, name="lifetime"))
        return self._sign(tokens.make_ticket_claims(user, seconds, life, time.time(), channels=channels, info=info))

    def _make_subscription_token(self, user: User, channel: str, ttl: timedelta | float, info: Any) -> str:
        seconds = tokens.read_ttl(ttl, self._read_lifetime_limit())
        return self._sign(tokens.make_subscription_claims(user, channel, seconds, time.time(), info=info))


@lru_cache(maxsize=64)
def _describe_peer(endpoint: Endpoint | RedisTarget | None) -> error_texts.Peer:
    """Return what is at an endpoint; None is this process."""
    if isinstance(endpoint, RedisTarget):
        return error_texts.describe_redis(endpoint.url)
    return error_texts.describe_gateway(IN_PROCESS if endpoint is None else endpoint.url)


def _read_variable(name: str) -> str:
    return os.environ.get(f"MESSAGEFLOW_{name}", "").strip()
