"""Namespaces: what the channels of one keep, tell and allow (`NamespaceOptions`), and which a channel belongs to.

A namespace has a name, and is then all channels that begin with it and a colon, or a pattern of channels as tokens and
handlers have them. A channel belongs to the one that says most of its name. Everything a client might do is denied
until an option here allows it. Pure: owns the options and the table of them, decides about no client: that is
`core.permissions`.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from messageflow.core.channel_patterns import ALL, explain_pattern
from messageflow.core.channels import (
    BROADCAST,
    INTERNAL_PREFIX,
    NAME_BYTES,
    NAMESPACE_SEPARATOR,
    PERSONAL_PREFIX,
    PRIVATE_PREFIX,
    is_channel,
    split,
)
from messageflow.core.deltas import DeltaType
from messageflow.core.stream import Retention
from messageflow.core.users import explain_user, is_user
from messageflow.errors import ConfigurationError

_NAMESPACE = re.compile(r"[-a-zA-Z0-9_]{2,64}")
_REMEMBERED = 4096
"""Channels whose options are remembered: half the price of looking them up, also without patterns (callgrind)."""

LagPolicy = Literal["disconnect", "skip"]


class NamespaceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """What the channels of one namespace keep, tell and allow. Names as Centrifugo has them; `lag_policy` is ours."""

    history_size: Annotated[int, Meta(ge=0, description="publications kept per channel; 0 keeps no history")] = 10_000
    history_ttl: Annotated[float, Meta(ge=0, description="seconds a publication is kept; 0 keeps no history")] = 600.0
    force_recovery: Annotated[bool, Meta(description="subscribers recover what they missed, asked or not")] = True
    allow_recovery: Annotated[bool, Meta(description="subscribers recover what they missed when they ask")] = False
    force_positioning: Annotated[bool, Meta(description="subscribers are told their position, asked or not")] = False
    allow_positioning: Annotated[bool, Meta(description="subscribers are told their position when they ask")] = False
    force_recovery_mode: Annotated[
        Literal["stream", "cache"],
        Meta(description="stream: every missed publication or none; cache: the newest publication is enough"),
    ] = "stream"
    presence: Annotated[bool, Meta(description="who is subscribed can be asked")] = False
    join_leave: Annotated[bool, Meta(description="joins and leaves are published")] = False
    force_push_join_leave: Annotated[bool, Meta(description="subscribers get joins and leaves, asked or not")] = False
    allow_subscribe_for_client: Annotated[
        bool, Meta(description="any authenticated client that the name admits may subscribe")
    ] = False
    allow_subscribe_for_anonymous: Annotated[bool, Meta(description="clients without a user may subscribe too")] = False
    allow_publish_for_client: Annotated[
        bool, Meta(description="any authenticated client that the name admits may publish")
    ] = False
    allow_publish_for_subscriber: Annotated[bool, Meta(description="subscribers may publish")] = False
    allow_publish_for_anonymous: Annotated[bool, Meta(description="clients without a user may publish too")] = False
    allow_presence_for_client: Annotated[
        bool, Meta(description="any client that the name admits may ask for presence")
    ] = False
    allow_presence_for_subscriber: Annotated[bool, Meta(description="subscribers may ask for presence")] = False
    allow_presence_for_anonymous: Annotated[bool, Meta(description="clients without a user may ask too")] = False
    allow_history_for_client: Annotated[bool, Meta(description="any client that the name admits may read history")] = (
        False
    )
    allow_history_for_subscriber: Annotated[bool, Meta(description="subscribers may read history")] = False
    allow_history_for_anonymous: Annotated[bool, Meta(description="clients without a user may read it too")] = False
    allow_user_limited_channels: Annotated[bool, Meta(description="names with `#user,user` admit those users")] = False
    channel_regex: Annotated[
        str, Meta(description="the name after the namespace, or what a star stands for, must match this")
    ] = ""
    publication_data_format: Annotated[
        Literal["json", "json_object"], Meta(description="json_object refuses data that is not an object")
    ] = "json"
    lag_policy: Annotated[
        LagPolicy,
        Meta(description="for a slow reader that history cannot serve: `disconnect` (3008) or `skip` to the newest"),
    ] = "disconnect"
    compress: Annotated[
        bool,
        Meta(
            description="what is published may be compressed, where `compression` is on; false for what is secret, "
            "as the length of a compressed message tells something of it"
        ),
    ] = True
    allowed_delta_types: Annotated[
        tuple[DeltaType, ...],
        Meta(description='subscribers that ask for it are sent what changed: `["fossil"]` (docs/economy.md)'),
    ] = ()
    delta_publish: Annotated[
        bool, Meta(description="what is published is sent so, also where the publisher did not ask for it")
    ] = False

    @property
    def retention(self) -> Retention:
        """How much is kept of each channel: what a publication there is given."""
        return Retention(self.history_size, self.history_ttl)

    @cached_property  # asked for each channel of each connect
    def keeps_history(self) -> bool:
        return self.history_size > 0 and self.history_ttl > 0


class Namespaces(msgspec.Struct, dict=True):
    """The options of every channel name, in JSON by the names they have here.

    Args:
        default: for channels that are of no namespace, and have no `:`.
        named: for the channels of each namespace that has a name.
        personal: for personal channels (`#user`).
        broadcast: for the broadcast channel (`*`).
        patterns: for the channels of each namespace that is a pattern.

    Raises:
        ConfigurationError: a name, a pattern or a `channel_regex` is malformed, or two say the same channels.
    """

    default: NamespaceOptions = NamespaceOptions()
    named: dict[str, NamespaceOptions] = {}
    personal: NamespaceOptions = NamespaceOptions(presence=True)
    broadcast: NamespaceOptions = NamespaceOptions()
    patterns: dict[str, NamespaceOptions] = {}

    def __post_init__(self) -> None:
        for name in self.named:
            if not _NAMESPACE.fullmatch(name):
                raise ConfigurationError(
                    f"the namespace {name!r} is not a name: use 2 to 64 letters, digits, `-` and `_`"
                )
        for pattern, options in self.patterns.items():
            _check_pattern(pattern, options)
            if pattern[-2:] == NAMESPACE_SEPARATOR + ALL and pattern[:-2] in self.named:
                raise ConfigurationError(
                    f"the pattern {pattern!r} and the name {pattern[:-2]!r} say the same channels: keep one of them"
                )
        self._exact = {pattern: each for pattern, each in self.patterns.items() if not pattern.endswith(ALL)}
        self._beginnings = {pattern[:-1]: each for pattern, each in self.patterns.items() if pattern.endswith(ALL)}
        self._beginnings |= {name + NAMESPACE_SEPARATOR: each for name, each in self.named.items()}
        self._lengths = sorted(set(map(len, self._beginnings)), reverse=True)
        everywhere = (self.default, *self.named.values(), *self.patterns.values())
        self._regexes = {id(o): _compile(o) for o in everywhere if o.channel_regex}
        self._found: dict[str, NamespaceOptions] = {}

    def options(self, channel: str) -> NamespaceOptions | None:
        """Return the options of `channel`, or None where its name or its namespace is not known."""
        if channel.startswith(PERSONAL_PREFIX):
            return self.personal if is_user(channel[1:]) else None
        if channel == BROADCAST:
            return self.broadcast
        options = self._found.get(channel)
        return self._look_up(channel) if options is None else options

    def explain(self, channel: str) -> str:
        """Say why `options` knows no channel of this name."""
        if channel.startswith(PERSONAL_PREFIX):
            everyone = "to reach everyone, call broadcast_push or publish into `*`"
            return f"it would be a user's own, and {explain_user(channel[1:], everyone)}"
        if channel.startswith(INTERNAL_PREFIX):
            return "names with `!` are the gateways' own"
        if not is_channel(channel):
            return f"a name has 1 to {NAME_BYTES} characters of printable ASCII and no spaces"
        bare, (namespace, _) = channel.removeprefix(PRIVATE_PREFIX), split(channel)
        if namespace is None or bare in self._exact or bare.startswith(tuple(self._beginnings)):
            return "its name does not match the channel_regex there"
        return f"no namespace {namespace!r} is configured"

    def _look_up(self, channel: str) -> NamespaceOptions | None:
        """Return the options of the namespace that says most of a name: all of it, or its longest beginning."""
        if channel.startswith(INTERNAL_PREFIX) or not is_channel(channel):
            return None
        bare = channel.removeprefix(PRIVATE_PREFIX)
        options, said = self._exact.get(bare), len(bare)
        if options is None:
            for said in self._lengths:
                if (options := self._beginnings.get(bare[:said])) is not None:
                    break
            else:
                if NAMESPACE_SEPARATOR in bare:
                    return None
                options, said = self.default, 0
        if options.channel_regex and not self._regexes[id(options)].fullmatch(bare[said:]):
            return None
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        self._found[channel] = options
        return options


def _check_pattern(pattern: str, options: NamespaceOptions) -> None:
    problem = explain_pattern(pattern)
    if pattern.startswith(PRIVATE_PREFIX):
        problem = f"private channels have the options of their name without the $: write {pattern[1:]!r}"
    elif pattern.startswith((PERSONAL_PREFIX, INTERNAL_PREFIX)):
        problem = "the server's own channels are of no namespace; those of users have [channel.personal]"
    elif options.channel_regex and not pattern.endswith(ALL):
        problem = "a channel_regex is for what the star stands for, and there is none"
    if problem:
        raise ConfigurationError(f"the pattern {pattern!r} names no namespace: {problem}")


def _compile(options: NamespaceOptions) -> re.Pattern[str]:
    try:
        return re.compile(options.channel_regex)
    except re.error as error:
        raise ConfigurationError(f"channel_regex {options.channel_regex!r} is not a pattern: {error}") from None
