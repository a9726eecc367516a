"""Tokens for users, made where the secret is: in the application, without asking the gateway.

Makes JSON Web Tokens with the claims the gateway checks (messageflow.core.tokens has the other side). Opens no
connection and keeps no clock: `now` is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from secrets import token_hex
from typing import Any

from messageflow.errors import ConfigurationError, EncodingError
from messageflow.publisher.encoding import encode
from messageflow.publisher.names import channel_name, user_name
from messageflow.publisher.requests import User

TTL = timedelta(minutes=15)
SECRET_BYTES = 32  # as the gateway requires
OURS = frozenset({"sub", "exp", "iat", "jti", "channel", "channels", "info", "aud", "iss"})


def connection_claims(
    user: User, ttl: timedelta | float, now: float, *, channels: Iterable[str] = (), info: Any = None
) -> dict[str, Any]:
    """Return the claims of a token a browser connects with."""
    if isinstance(channels, str):
        raise TypeError("channels must be a list of names, not one string")
    claims = _claims(user, ttl, now, info)
    if named := [channel_name(channel) for channel in channels]:
        claims["channels"] = named
    return claims


def subscription_claims(
    user: User, channel: str, ttl: timedelta | float, now: float, *, info: Any = None
) -> dict[str, Any]:
    """Return the claims of a token a browser subscribes to one channel with."""
    return {**_claims(user, ttl, now, info), "channel": channel_name(channel)}


def _claims(user: User, ttl: timedelta | float, now: float, info: Any) -> dict[str, Any]:
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if not seconds > 0:
        raise ValueError(f"ttl must be more than 0 seconds, not {seconds:g}")
    claims: dict[str, Any] = {
        "sub": user_name(user),
        "exp": int(now + seconds),
        "iat": now,  # with fractions (RFC 7519 §2), so that a token made right after `revoke` is good
        "jti": token_hex(16),
    }
    if info is not None:
        claims["info"] = info
    return claims


def sign(
    claims: dict[str, Any], secret: str, *, issuer: str = "", audience: str = "", extra: dict[str, Any] | None = None
) -> str:
    """Return the token (HS256) that says `claims` and whatever the application adds.

    Raises:
        ConfigurationError: there is no secret, or it is too short.
        EncodingError: a claim that JSON cannot carry.
    """
    import jwt  # here, for it brings the whole of cryptography with it, which a push does not need

    if not secret:
        raise ConfigurationError(
            "there is no secret to sign tokens with: set MESSAGEFLOW_TOKEN_SECRET (or Flow(token_secret=…)) to the "
            "gateway's own; `messageflow serve --dev` leaves its secret where programs of the same person find it"
        )
    if len(secret.encode()) < SECRET_BYTES:
        raise ConfigurationError(
            f"the token secret is {len(secret.encode())} bytes long, {SECRET_BYTES} are the least: "
            "make one with `messageflow secret`"
        )
    if taken := OURS.intersection(extra or ()):
        raise ValueError(f"the claim {min(taken)!r} has its own argument or setting")
    parties = {name: value for name, value in (("iss", issuer), ("aud", audience)) if value}
    return jwt.encode(_plain({**claims, **parties, **(extra or {})}), secret, algorithm="HS256")


def _plain(claims: dict[str, Any]) -> dict[str, Any]:
    import msgspec

    plain = msgspec.json.decode(encode(claims, "claims"))
    if not isinstance(plain, dict):
        raise EncodingError("claims are not an object")
    return plain
