"""What tokens say: the claims as JSON has them, and as the rest of messageflow reads them.

Claims are Centrifugo's, so that its token helpers work unchanged. JSON inside a token (`info`, `data`) leaves
here as bytes on one line, checked, for it will be written into frames without another look.

Pure. Decides nothing about which token to believe or until when: that is `messageflow.core.token_verifier`.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import UNSET, Raw, UnsetType

from messageflow.core.jws import read_json
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.overrides import Overridable
from messageflow.core.token_rights import Grant, read_grants
from messageflow.errors import TokenError, TokenReason


class SubscribeOptions(Overridable[bool], frozen=True, kw_only=True):
    """What a token says about one subscription, over what the channel's namespace says. None: nothing.

    `info` and `data` are JSON on one line.
    """

    info: bytes | None = None
    data: bytes | None = None

    def apply_to(self, options: NamespaceOptions) -> NamespaceOptions:
        """Return the options of a channel as they are for this one subscription."""
        changes = self.overrides()
        return msgspec.structs.replace(options, **changes) if changes else options


NO_SUBS: Mapping[str, SubscribeOptions] = MappingProxyType({})  # one for all, since most tokens have none


class ConnectionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """A believed connection token.

    Args:
        user: who connects; empty for an anonymous user, where those are allowed.
        expires_at: when the connection ends unless it is refreshed, later than the `now` it was checked at; None
            when the token says never and the lifetime is not limited.
        channels: channels the server subscribes the session to.
        subs: the same with options.
        info: JSON on one line that others see beside the user, or None.
        issued_at: when it was made, or None.
        grants: what it allows in channels.
        token: its name (`jti`), empty where it has none.
    """

    user: str
    expires_at: float | None
    channels: tuple[str, ...] = ()
    subs: Mapping[str, SubscribeOptions] = NO_SUBS
    info: bytes | None = None
    issued_at: float | None = None
    grants: tuple[Grant, ...] = ()
    token: str = ""


class SubscriptionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """A believed subscription token; the caller compares `user`, `channel` and `client` with the request.

    Args:
        user: whose subscription it is; empty for an anonymous user, where those are allowed.
        channel: the one channel it is for.
        expires_at: when the subscription ends unless it is refreshed, later than the `now` it was checked at; None
            when the token was meant to be checked once.
        options: `info`, `data` and what is overridden.
        client: the one connection it is for, empty for any.
        issued_at: when it was made, or None.
        token: its name (`jti`), empty where it has none.
    """

    user: str
    channel: str
    expires_at: float | None
    options: SubscribeOptions = SubscribeOptions()
    client: str = ""
    issued_at: float | None = None
    token: str = ""

    @property
    def info(self) -> bytes | None:
        """JSON on one line that others see beside the user in this channel, or None."""
        return self.options.info


class _Value(msgspec.Struct, frozen=True, gc=False):
    value: bool


class Options(msgspec.Struct, frozen=True, gc=False):
    """What `SubscribeOptions` is made of, as JSON has it: a subscription token itself, or an entry of `subs`."""

    info: Raw = Raw()
    b64info: str | None = None
    data: Raw = Raw()
    b64data: str | None = None
    override: Overridable[_Value] | None = None


class Said(Options, frozen=True, kw_only=True, gc=False):
    """The payload of either kind as JSON has it: RFC 7519 §4.1, Centrifugo's JWT claims."""

    exp: float | None = None
    sub: str = ""
    iat: float | None = None
    nbf: float | None = None
    aud: str | list[str] | None = None
    iss: str | None = None
    jti: str = ""
    expire_at: float | None = None
    channels: list[str] | None = None
    subs: dict[str, Options] | None = None
    allow: list[str] | None = None
    ticket: bool = False
    channel: str | UnsetType = UNSET
    client: str = ""


_payload = msgspec.json.Decoder(Said)
_json = msgspec.json.Decoder()


def read_claims(payload: bytes) -> Said:
    """Decode the payload of a token, whichever its kind.

    Raises:
        TokenError: it is not JSON, or a claim is missing or of the wrong type.
    """
    try:
        return read_json(_payload, payload, "payload")
    except TokenError as error:
        if "missing required field" in str(error):
            error.reason = TokenReason.MISSING_CLAIM
        raise


def read_user_claim(payload: bytes, name: str) -> str:
    """Return the user whom another claim than `sub` names, a text or a whole number; empty where it names nobody.

    Args:
        payload: of a believed token, which `read_claims` has read.
        name: of the claim.
    """
    found = _json.decode(payload).get(name)
    return str(found) if isinstance(found, str) or type(found) is int else ""


def read_channels(said: Said) -> tuple[str, ...]:
    """Return the claim `channels`."""
    channels = tuple(said.channels or ())
    if "" in channels:
        raise TokenError("the channels of the token hold an empty name")
    return channels


def read_subs(said: Said) -> Mapping[str, SubscribeOptions]:
    """Return the claim `subs`."""
    if not said.subs:
        return NO_SUBS
    if "" in said.subs:
        raise TokenError("the subs of the token hold an empty name")
    return {channel: read_options(options) for channel, options in said.subs.items()}


def read_allow(said: Said) -> tuple[Grant, ...]:
    """Return the claim `allow`."""
    if not said.allow:
        return ()
    try:
        return read_grants(tuple(said.allow))
    except ValueError as error:
        raise TokenError(f"the allow of the token: {error}") from None


def read_options(said: Options) -> SubscribeOptions:
    """Return the options of one subscription, base64 and nesting undone."""
    overrides = said.override.overrides() if said.override is not None else {}
    return SubscribeOptions(
        info=read_embedded(said.info, said.b64info, "info"),
        data=read_embedded(said.data, said.b64data, "data"),
        **{name: each.value for name, each in overrides.items()},
    )


def read_embedded(raw: Raw, spelled: str | None, name: str) -> bytes | None:
    """Return the JSON of a claim or of its base64 twin, on one line, for it will be written into frames unread."""
    data = bytes(raw)
    if spelled is not None:
        try:
            data = b64decode(spelled, validate=True)
        except ValueError:
            raise TokenError(f"the b64{name} of the token is not base64") from None
    if data in (b"", b"null"):
        return None
    read_json(_json, data, name)
    return msgspec.json.format(data, indent=-1)
