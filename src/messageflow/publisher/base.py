"""What a flow was told, and what it finds out when it is first used.

A flow may be made before its gateway is there, at import time for example. It therefore looks for the gateway when it
first needs it, and looks again after it was not found or did not let us in. Owns no connection.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from messageflow.core.credentials import LIFETIME_LIMIT, credential
from messageflow.core.durations import parse_duration
from messageflow.errors import ConfigurationError, GatewayUnreachable, Unauthorized
from messageflow.publisher import discovery, error_texts, inprocess, testruns, tokens
from messageflow.publisher.discovery import Place
from messageflow.publisher.inprocess import InProcess
from messageflow.publisher.redis_target import Redis, is_redis, masked
from messageflow.publisher.requests import Call, User
from messageflow.publisher.retry import Retry

TIMEOUT = 5.0
IN_PROCESS = "this process"
TEST_RUN = (
    "this is a test run, which does not push into the development gateway that happens to run at {}: set "
    "MESSAGEFLOW_URL, or give Flow its url, where it should; nothing was stored"
)
FOREIGN = (
    "what answers at {} is not the development gateway of this project, which was there once and has ended: start "
    "`messageflow serve --dev` again; nothing was stored"
)


class FlowBase:
    """The common part of `Flow` and `AsyncFlow`; see there for the arguments."""

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
            discovery.endpoint(url, prefix, base_path=base_path)
        self._url = url
        self._api_key = api_key
        self._token_secret = credential(token_secret or "")
        self._timeout = timeout
        self._issuer = token_issuer
        self._audience = token_audience
        self._prefix = prefix
        self._base_path = base_path
        self._limit = (
            None
            if token_lifetime_limit is None
            else tokens.seconds_of(token_lifetime_limit, name="token_lifetime_limit")
        )
        self._found: Place | None = None
        self._used: Place | None = None  # found last, also when it was forgotten since

    def __repr__(self) -> str:
        shown = masked(self._url) if self._url and is_redis(self._url) else self._url
        return f"{type(self).__name__}({shown!r})" if shown else f"{type(self).__name__}()"

    @property
    def url(self) -> str:
        """Where the gateway is: as given, or from the environment or the file of a development gateway.

        Of a Redis without user, password and options.
        """
        return self._reachable().endpoint.url

    def _gateway(self) -> InProcess | Place:
        if self._url is None and (gateway := inprocess.installed()) is not None:
            return gateway
        place = self._reachable()
        if isinstance(place.endpoint, Redis):
            return place
        return inprocess.installed_at(place.endpoint, place.api_key) or place

    def _reachable(self) -> Place:
        place = self._place()
        if place.absent:
            self._found = None  # it may begin at any time
            raise GatewayUnreachable(place.absent)
        return place

    def _place(self) -> Place:
        if self._found is None:
            found = discovery.find(
                self._url, self._api_key, self._token_secret, prefix=self._prefix, base_path=self._base_path
            )
            if found.found and testruns.under_test():
                found = found._replace(absent=TEST_RUN.format(found.endpoint.url))
            self._found = self._used = found
        return self._found

    def _forget(self, error: BaseException, gateway: InProcess | Place) -> bool:
        """Look for the gateway anew after an error that a change of address or key would explain.

        Returns:
            Whether nobody had named that gateway, and it is at another address by now: the call is worth repeating.

        Raises:
            GatewayUnreachable: what answers there now is the gateway of another project.
        """
        if not isinstance(error, Unauthorized | GatewayUnreachable):
            return False
        self._found = None
        if isinstance(gateway, InProcess) or not gateway.found:
            return False
        place = self._place()
        if (place.endpoint, place.api_key) != (gateway.endpoint, gateway.api_key) or place.absent:
            return True  # to be told there if it has ended
        self._found = None
        if isinstance(error, Unauthorized) and gateway.own_key:
            raise GatewayUnreachable(FOREIGN.format(gateway.endpoint.url)) from error
        return False

    def _retry(self, call: Call[Any], gateway: InProcess | Place) -> Retry:
        if isinstance(gateway, InProcess):
            peer = error_texts.gateway(IN_PROCESS)
        elif isinstance(gateway.endpoint, Redis):
            peer = error_texts.redis(gateway.endpoint.url)
        else:
            peer = error_texts.gateway(gateway.endpoint.url)
        return Retry(peer, stores=call.stores, timeout=self._timeout, now=time.monotonic())

    def _sign(self, claims: dict[str, Any], extra: dict[str, Any] | None = None) -> str:
        issuer = _variable("TOKEN_ISSUER") if self._issuer is None else self._issuer
        audience = _variable("TOKEN_AUDIENCE") if self._audience is None else self._audience
        secret = self._token_secret or self._place().token_secret
        limit = self._lifetime_limit()
        return tokens.sign(claims, secret, limit, issuer=issuer, audience=audience, extra=extra)

    def _lifetime_limit(self) -> float:
        if self._limit is not None:
            return self._limit
        text = _variable("TOKEN_LIFETIME_LIMIT")
        try:
            return parse_duration(text) if text else LIFETIME_LIMIT
        except ValueError:
            raise ConfigurationError(
                f"MESSAGEFLOW_TOKEN_LIFETIME_LIMIT is {text!r}: write a duration, such as 3600, 12h or 30d"
            ) from None

    def _token(
        self, user: User, ttl: timedelta | float, channels: Iterable[str], info: Any, claims: dict[str, Any]
    ) -> str:
        seconds = tokens.seconds_of(ttl, self._lifetime_limit())
        return self._sign(tokens.connection_claims(user, seconds, time.time(), channels=channels, info=info), claims)

    def _subscription_token(self, user: User, channel: str, ttl: timedelta | float, info: Any) -> str:
        seconds = tokens.seconds_of(ttl, self._lifetime_limit())
        return self._sign(tokens.subscription_claims(user, channel, seconds, time.time(), info=info))


def _variable(name: str) -> str:
    return os.environ.get(f"MESSAGEFLOW_{name}", "").strip()
