"""Tokens for users, made where the secret is: in the application, without asking the gateway.

Makes JSON Web Tokens with the claims the gateway checks (messageflow.core.token_verifier has the other side). Opens no
connection and keeps no clock: `now` is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from math import inf
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from messageflow.core.channels import BROADCAST, NAME_BYTES, is_channel, owned_by_server
from messageflow.core.credentials import SECRET_BYTES
from messageflow.errors import ConfigurationError, EncodingError, TokenError
from messageflow.publisher.arguments import read_channel, read_text, read_user
from messageflow.publisher.encoding import encode
from messageflow.publisher.requests import User

if TYPE_CHECKING:
    from messageflow.core.token_verifier import Verifier

TTL = timedelta(minutes=15)
TICKET_TTL = timedelta(minutes=1)
STREAM_LIFETIME = timedelta(hours=12)
OURS = frozenset({"sub", "exp", "iat", "jti", "channel", "channels", "allow", "info", "aud", "iss", "ticket"})


def read_ttl(ttl: timedelta | float, limit: float = inf, name: str = "ttl") -> float:
    """Return a time to live in seconds.

    Raises:
        ValueError: it is not more than nothing, never ends, or is longer than the gateway believes a token.
    """
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else float(ttl)
    if not seconds > 0:
        raise ValueError(f"{name} must be more than 0 seconds, not {seconds:g}")
    if seconds > limit:
        raise ValueError(
            f"ttl is {seconds:.0f} s, and the gateway refuses tokens that live longer than its token_lifetime_limit, "
            f"{limit:.0f} s here: make it shorter, for the browser client fetches a new token in time, or raise the "
            "gateway's limit and tell it here too (MESSAGEFLOW_TOKEN_LIFETIME_LIMIT, or Flow(token_lifetime_limit=…))"
        )
    return seconds


def make_connection_claims(
    user: User,
    seconds: float,
    now: float,
    *,
    channels: Iterable[str] = (),
    info: Any = None,
    allow: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the claims of a token a browser connects with."""
    if isinstance(channels, str):
        raise TypeError("channels must be a list of names, not one string")
    if isinstance(allow, str):
        raise TypeError("allow must be a list of patterns, not one string")
    claims = _make_claims(user, seconds, now, info)
    if named := [read_channel(channel) for channel in channels]:
        claims["channels"] = named
    if allowed := [read_text(pattern, "a pattern of allow") for pattern in allow]:
        claims["allow"] = allowed
    return claims


def make_ticket_claims(
    user: User, seconds: float, lifetime: float, now: float, *, channels: Iterable[str] = (), info: Any = None
) -> dict[str, Any]:
    """Return the claims of a ticket, which opens an event stream within `seconds`; that ends after `lifetime`."""
    claims = make_connection_claims(user, seconds, now, channels=channels, info=info)
    return {**claims, "expire_at": now + lifetime, "ticket": True}


def make_subscription_claims(
    user: User, channel: str, seconds: float, now: float, *, info: Any = None
) -> dict[str, Any]:
    """Return the claims of a token a browser subscribes to one channel with."""
    return {**_make_claims(user, seconds, now, info), "channel": read_channel(channel)}


def _make_claims(user: User, seconds: float, now: float, info: Any) -> dict[str, Any]:
    if seconds == inf:
        raise ValueError("ttl must be a time that ends")
    end = now + seconds
    expiry = int(end) if seconds >= 1 else end  # whole, as all libraries read it, where it lives to see a second
    claims: dict[str, Any] = {
        "sub": read_user(user),
        "exp": expiry,
        "iat": now,  # with fractions (RFC 7519 §2), so that a token made right after `revoke` is good
        "jti": token_hex(16),
    }
    if info is not None:
        claims["info"] = info
    return claims


def sign(
    claims: dict[str, Any],
    secret: str,
    limit: float,
    *,
    issuer: str = "",
    audience: str = "",
    extra: dict[str, Any] | None = None,
) -> str:
    """Return the token (HS256) that says `claims` and whatever the application adds.

    It is read as the gateway will read it, since the caller can still do something about what is wrong.

    Raises:
        ConfigurationError: there is no secret, or it cannot be used.
        EncodingError: a claim that JSON cannot carry.
        ValueError: the gateway would refuse the token.
    """
    import jwt  # here, for it brings the whole of cryptography with it, which a push does not need

    if not secret:
        raise ConfigurationError(
            "there is no secret to sign tokens with: set MESSAGEFLOW_TOKEN_SECRET (or Flow(token_secret=…)) to the "
            "gateway's own; `messageflow serve --dev` leaves its secret where programs of the same project find it"
        )
    size = len(secret.encode(errors="replace"))
    if size < SECRET_BYTES:
        raise ConfigurationError(
            f"the token secret is {size} bytes long, {SECRET_BYTES} are the least: make one with `messageflow secret`"
        )
    if taken := OURS.intersection(extra or ()):
        raise ValueError(f"the claim {min(taken)!r} has its own argument or setting")
    verifier = _make_verifier(secret, limit)
    parties = {name: value for name, value in (("iss", issuer), ("aud", audience)) if value}
    said = _simplify({**claims, **parties, **(extra or {})})
    token = jwt.encode(said, secret, algorithm="HS256")
    _check(verifier, token, said)
    return token


@lru_cache(maxsize=8)
def _make_verifier(secret: str, limit: float) -> Verifier:
    from messageflow.core.token_verifier import Verifier, load_keys

    return Verifier(load_keys([secret]), lifetime_limit=limit)


def _check(verifier: Verifier, token: str, said: dict[str, Any]) -> None:
    begin = said.get("nbf")
    now = max(said["iat"], begin) if isinstance(begin, int | float) else said["iat"]
    try:
        if "channel" in said:
            granted: Iterable[str] = (verifier.subscription(token, now).channel,)
        else:
            read = verifier.ticket if "ticket" in said else verifier.connection
            believed = read(token, now)
            granted = (*believed.channels, *believed.subs)
    except TokenError as error:
        raise ValueError(f"the gateway would refuse this token: {error}") from None
    for name in granted:
        if owned_by_server(name) and (name != BROADCAST or "channel" in said):
            raise ValueError(
                f"the channel {name!r} cannot be granted: what is pushed to a user or to all comes by itself"
            )
        if not is_channel(name):
            raise ValueError(
                f"{name!r} is no name of a channel: 1 to {NAME_BYTES} characters of printable ASCII, no spaces"
            )


def _simplify(claims: dict[str, Any]) -> dict[str, Any]:
    import msgspec

    plain = msgspec.json.decode(encode(claims, "claims"))
    if not isinstance(plain, dict):
        raise EncodingError("claims are not an object")
    return plain
