"""The rules by which flows publish into Redis themselves: the options of every channel, the limits of a publication.

A gateway leaves them there as JSON, and a flow that publishes past it (`redis_publisher`) applies the same. Gateway and
publisher may be of different versions, so what one does not know of the other's is passed over. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.revocations import UNLIMITED
from messageflow.errors import ConfigurationError

Options = dict[str, Any]


class _Written(Struct):
    """As JSON has it: options as objects, of which some may be unknown here."""

    default: Options
    named: dict[str, Options]
    personal: Options
    broadcast: Options
    size_limit: int
    idempotency_window: float
    revoked_for: float = UNLIMITED
    patterns: dict[str, Options] = {}


class RedisPublishingRules(Struct, frozen=True, kw_only=True):
    """What is kept of each channel, and what a publication may be.

    Args:
        default: for channels without a namespace.
        named: for the channels of each namespace that has a name.
        personal: for personal channels.
        broadcast: for the broadcast channel.
        size_limit: bytes of JSON one publication may have.
        idempotency_window: seconds for which a repeated key is recognised.
        revoked_for: seconds a revocation is kept.
        patterns: for the channels of each namespace that is a pattern.
    """

    default: NamespaceOptions
    named: dict[str, NamespaceOptions]
    personal: NamespaceOptions
    broadcast: NamespaceOptions
    size_limit: int
    idempotency_window: float
    revoked_for: float = UNLIMITED
    patterns: dict[str, NamespaceOptions] = {}

    @classmethod
    def of(
        cls,
        namespaces: Namespaces,
        *,
        size_limit: int,
        idempotency_window: float,
        revoked_for: float = UNLIMITED,
    ) -> RedisPublishingRules:
        """Return the rules of a gateway with these settings."""
        return cls(
            default=namespaces.default,
            named=namespaces.named,
            personal=namespaces.personal,
            broadcast=namespaces.broadcast,
            size_limit=size_limit,
            idempotency_window=idempotency_window,
            revoked_for=revoked_for,
            patterns=namespaces.patterns,
        )

    @property
    def namespaces(self) -> Namespaces:
        """The options by channel.

        Raises:
            ConfigurationError: a name or a pattern among them is malformed.
        """
        return Namespaces(self.default, self.named, self.personal, self.broadcast, self.patterns)

    def to_json(self) -> bytes:
        """Return them as they are left for publishers."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> RedisPublishingRules:
        """Return the rules that a gateway left.

        Raises:
            ConfigurationError: they cannot be understood.
        """
        try:
            written = msgspec.json.decode(data, type=_Written)
            rules = cls(
                default=_keep_known(written.default),
                named={name: _keep_known(options) for name, options in written.named.items()},
                personal=_keep_known(written.personal),
                broadcast=_keep_known(written.broadcast),
                size_limit=written.size_limit,
                idempotency_window=written.idempotency_window,
                revoked_for=written.revoked_for,
                patterns={pattern: _keep_known(options) for pattern, options in written.patterns.items()},
            )
            rules.namespaces  # noqa: B018  # names and patterns among them may be malformed
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"the gateway's rules cannot be understood: {error}") from None
        return rules


def _keep_known(options: Options) -> NamespaceOptions:
    names = NamespaceOptions.__struct_fields__
    return msgspec.convert({name: value for name, value in options.items() if name in names}, NamespaceOptions)
