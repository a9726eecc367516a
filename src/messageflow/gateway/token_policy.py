"""Which user tokens a gateway believes. Owns the words; `core.token_verifier` decides by them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Duration, Secrets, Section, Switch, Text
from messageflow.core.token_limits import LIFETIME_LIMIT
from messageflow.gateway.gateway_kinds import PublicKeys


class TokenPolicy(Struct, frozen=True, kw_only=True):
    """Whom a token makes a user: each field is a setting."""

    allow_anonymous: Annotated[
        Switch, Section.ORIGINS, Meta(description="let clients connect without a token, as no user")
    ] = False
    allow_token_without_expiry: Annotated[
        Switch,
        Meta(
            description="believe tokens without `exp`, whose connections do not expire; "
            "to revoke one holds as long as `token_lifetime_limit`, and no longer"
        ),
    ] = False
    token_secret: Annotated[
        Secrets,
        Section.KEYS,
        Meta(
            description="HMAC secrets of user tokens, at least 32 bytes each; the first signs, all verify: "
            "to rotate, put the new one first"
        ),
    ] = ()
    token_public_keys: Annotated[
        PublicKeys,
        Meta(description="public keys of user tokens signed elsewhere (Ed25519, RSA, EC): PEM text or paths"),
    ] = ()
    token_audience: Annotated[Text, Meta(description="what the `aud` claim must hold, when given")] = ""
    token_issuer: Annotated[Text, Meta(description="what the `iss` claim must be, when given")] = ""
    token_lifetime_limit: Annotated[
        Duration, Meta(gt=0, description="tokens that expire later than this from now are refused")
    ] = LIFETIME_LIMIT

    def __repr__(self) -> str:
        """Show nothing: what has a repr ends in a log."""
        return "<TokenPolicy>"
