"""Which tokens are believed: for which user, for what, and until when.

The checks are stricter than any library's defaults: a subject and an expiry are required, a lifetime has a limit, and
a token for one purpose never serves the other. Each relaxation is an argument of `Verifier`.

Pure: `now` is an argument, in seconds since 1970. Never makes a token, and no message repeats what one said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from messageflow.core.claims import (
    NO_SUBS,
    ConnectionClaims,
    Said,
    SubscribeOptions,
    SubscriptionClaims,
    read_allow,
    read_channels,
    read_claims,
    read_embedded,
    read_options,
    read_subs,
    read_user_claim,
)
from messageflow.core.jws import verify_signature
from messageflow.core.token_keys import Key, load_keys
from messageflow.core.token_limits import LIFETIME_LIMIT, LONGEST_LEEWAY
from messageflow.core.users import USER_BYTES, is_user
from messageflow.errors import ConfigurationError, TokenError, TokenExpired, TokenReason

__all__ = ["ConnectionClaims", "Key", "SubscribeOptions", "SubscriptionClaims", "Verifier", "load_keys"]


WITHOUT_EXP = "the token has no exp: give it one, or set allow_token_without_expiry"


class Verifier:
    """Decides which tokens are believed.

    A clock that differs between the application and the gateway is forgiven for `leeway` seconds where a refusal would
    be final: a token from the near future, a lifetime just over the limit. An expiry is taken as it stands, because a
    client answers it by fetching a new token.

    Args:
        keys: what signatures are checked with, see `load_keys`; without any, no token is believed.
        audience: what `aud` must name; None leaves `aud` unread.
        issuer: what `iss` must be; None leaves `iss` unread.
        leeway: seconds by which clocks may differ, at most 30.
        lifetime_limit: the most seconds from a token's making (`iat`, else now) to its `exp`; `math.inf` for no limit.
        allow_anonymous: believe tokens whose `sub` is empty or missing.
        allow_endless: believe tokens without `exp`: they are good until they are revoked.
        user_claim: names the user where `sub` does not; empty for none.

    Raises:
        ConfigurationError: the leeway or the lifetime limit is out of bounds.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        *,
        audience: str | None = None,
        issuer: str | None = None,
        leeway: float = LONGEST_LEEWAY,
        lifetime_limit: float = LIFETIME_LIMIT,
        allow_anonymous: bool = False,
        allow_endless: bool = False,
        user_claim: str = "",
    ) -> None:
        if not 0 <= leeway <= LONGEST_LEEWAY:
            raise ConfigurationError(f"the token leeway is {leeway} s: choose 0 to {LONGEST_LEEWAY:.0f} s")
        if not lifetime_limit > 0:
            raise ConfigurationError(f"the token lifetime limit is {lifetime_limit} s: choose more than 0")
        self.keys = tuple(keys)
        self.audience = audience
        self.issuer = issuer
        self.leeway = leeway
        self.lifetime_limit = lifetime_limit
        self.allow_anonymous = allow_anonymous
        self.allow_endless = allow_endless
        self.user_claim = user_claim

    def connection(self, token: str, now: float) -> ConnectionClaims:
        """Return what a connection token says, at the time `now`.

        Raises:
            TokenExpired: the token was good and its time is over.
            TokenError: anything else.
        """
        claims = self._verify(token, now)
        if claims.ticket:
            raise TokenError("the token is a ticket, good for an event stream alone", TokenReason.WRONG_USE)
        connection = self._read_connection(claims, now)
        _check_expiry(claims.exp, connection.expires_at, now)
        return connection

    def ticket(self, token: str, now: float, *, resumed: bool = False) -> ConnectionClaims:
        """Return what a ticket says, which opens one stream, at the time `now`.

        Args:
            token: the ticket.
            now: the time.
            resumed: whether it comes with the proof that it has opened its stream: then that may go on to its end.

        Raises:
            TokenExpired: the ticket was good and its time is over.
            TokenError: anything else.
        """
        claims = self._verify(token, now)
        if not claims.ticket or not claims.jti:
            raise TokenError("the token is no ticket: make one with flow.ticket", TokenReason.WRONG_USE)
        if claims.exp is None:
            raise TokenError(WITHOUT_EXP, TokenReason.MISSING_CLAIM)  # an address ends up in logs
        connection = self._read_connection(claims, now)
        _check_expiry(math.inf if resumed else claims.exp, connection.expires_at, now)
        return connection

    def _read_connection(self, claims: Said, now: float) -> ConnectionClaims:
        if claims.channel is not UNSET:
            raise TokenError("the token is for a subscription, not for a connection", TokenReason.WRONG_USE)
        return ConnectionClaims(
            user=claims.sub,
            expires_at=claims.exp if claims.expire_at is None else self._decide_end(claims.expire_at, now),
            channels=read_channels(claims) if claims.channels else (),
            subs=read_subs(claims) if claims.subs else NO_SUBS,
            info=read_embedded(claims.info, claims.b64info, "info") if claims.info or claims.b64info else None,
            issued_at=claims.iat,
            grants=read_allow(claims) if claims.allow else (),
            token=claims.jti,
        )

    def subscription(self, token: str, now: float) -> SubscriptionClaims:
        """Return what a subscription token says, at the time `now`.

        Raises:
            TokenExpired: the token was good and its time is over.
            TokenError: anything else.
        """
        claims = self._verify(token, now)
        if claims.channel is UNSET or not claims.channel:
            raise TokenError("the token is not for a subscription: it names no channel", TokenReason.WRONG_USE)
        end = claims.exp if claims.expire_at is None else claims.expire_at or None
        subscription = SubscriptionClaims(
            user=claims.sub,
            channel=claims.channel,
            expires_at=end,
            options=read_options(claims),
            client=claims.client,
            issued_at=claims.iat,
            token=claims.jti,
        )
        _check_expiry(claims.exp, end, now)
        return subscription

    def _verify(self, token: str, now: float) -> Said:
        """Everything both kinds of token have to satisfy but the expiry, which is judged last."""
        payload = verify_signature(token, self.keys)
        claims = read_claims(payload)
        if self.user_claim and not claims.sub:
            claims = msgspec.structs.replace(claims, sub=read_user_claim(payload, self.user_claim))
        if claims.sub:
            if not is_user.__wrapped__(claims.sub):  # kept of users who are pushed to, not of all who come
                raise TokenError(f"the sub of the token is no user: at most {USER_BYTES} bytes, no control characters")
        elif not self.allow_anonymous:
            raise TokenError("the token names no user (sub)", TokenReason.MISSING_CLAIM)
        self._check_dates(claims, now)
        if self.audience is not None or self.issuer is not None:
            self._check_parties(claims)
        return claims

    def _check_dates(self, claims: Said, now: float) -> None:
        exp = claims.exp
        if exp is None:
            if not self.allow_endless:
                raise TokenError(WITHOUT_EXP, TokenReason.MISSING_CLAIM)
        elif exp <= 0:
            raise TokenError("the exp of the token is not a date")
        if claims.iat is not None and claims.iat > now + self.leeway:
            raise TokenError("the token was made in the future (iat): compare the clocks", TokenReason.NOT_YET_VALID)
        if claims.nbf is not None and claims.nbf > now + self.leeway:
            raise TokenError("the token is not good yet (nbf)", TokenReason.NOT_YET_VALID)
        made = now + self.leeway if claims.iat is None else claims.iat
        if exp is not None and exp - made > self.lifetime_limit:
            raise TokenError(
                f"the token lives longer than {self.lifetime_limit:.0f} s, the token_lifetime_limit",
                TokenReason.TOO_LONG_A_LIFE,
            )

    def _check_parties(self, claims: Said) -> None:
        # A string is compared whole: `in` would find an audience inside a longer one.
        named = claims.aud if isinstance(claims.aud, list) else [claims.aud]
        if self.audience is not None and self.audience not in named:
            raise TokenError("the token is for another audience (aud)", TokenReason.AUDIENCE)
        if self.issuer is not None and self.issuer != claims.iss:
            raise TokenError("the token is from another issuer (iss)", TokenReason.ISSUER)

    def _decide_end(self, expire_at: float, now: float) -> float | None:
        """`expire_at`, 0 meaning never, within the lifetime limit."""
        latest = now + self.lifetime_limit
        end = min(expire_at or math.inf, latest)
        return None if end == math.inf else end


def _check_expiry(exp: float | None, end: float | None, now: float) -> None:
    if (exp is not None and exp <= now) or (end is not None and end <= now):
        raise TokenExpired("the token has expired")
