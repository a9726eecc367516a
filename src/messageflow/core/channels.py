"""Channel names, the namespaces they belong to, and what a client may do there.

A channel is named by printable ASCII. Five kinds of name carry meaning:

    #alice          the personal channel of a user: derived by the server from the token, never named by a client
    *               the broadcast channel, which every authenticated session holds
    $news:eu        private: a subscription token for exactly this channel is required
    chat:a#1,42     user-limited: only the users listed after `#` may subscribe, where the namespace allows it
    !revoked        internal, as all that begin so: what gateways tell one another; nobody else can name it

What stands before the first `:` is the namespace (`news`, `chat`); each namespace has its own options. Everything a
client might do is denied until an option allows it, and no option opens a channel to a client that its name keeps out:
to read, see or publish in a private channel, or in one limited to others, takes a subscription.

Pure: decides by values, knows nothing of sessions or brokers.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from messageflow.core.codes import PERMISSION_DENIED, ErrorCode
from messageflow.core.retention import Retention
from messageflow.core.users import explain_user, is_user
from messageflow.errors import ConfigurationError

BROADCAST = "*"
PERSONAL_PREFIX = "#"
PRIVATE_PREFIX = "$"
INTERNAL_PREFIX = "!"
REVOKED = "!revoked"  # see `core.revocations`
NODES, CLIENTS = "!nodes", "!clients"  # who lives, and who is connected: see `hub.node_deaths`
NAMESPACE_SEPARATOR = ":"
USERS_SEPARATOR = "#"
NAME_BYTES = 255

_NAME = re.compile(rf"[\x21-\x7e]{{1,{NAME_BYTES}}}")
_NAMESPACE = re.compile(r"[-a-zA-Z0-9_]{2,64}")

LagPolicy = Literal["disconnect", "skip"]


class NamespaceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    channel_regex: Annotated[str, Meta(description="the name after the namespace must match this, when given")] = ""
    publication_data_format: Annotated[
        Literal["json", "json_object"], Meta(description="json_object refuses data that is not an object")
    ] = "json"
    lag_policy: Annotated[
        LagPolicy,
        Meta(description="for a slow reader that history cannot serve: `disconnect` (3008) or `skip` to the newest"),
    ] = "disconnect"

    @property
    def retention(self) -> Retention:
        """How much is kept of each channel: what a publication there is given."""
        return Retention(self.history_size, self.history_ttl)

    @property
    def keeps_history(self) -> bool:
        return self.history_size > 0 and self.history_ttl > 0


class Rights(msgspec.Struct, frozen=True):
    """Who asks: the facts a right is decided on."""

    user: str
    subscribed: bool = False

    @property
    def anonymous(self) -> bool:
        return not self.user


class Namespaces(msgspec.Struct, dict=True):
    """The options of every channel name, in JSON by the names they have here.

    Args:
        default: for channels without a namespace.
        named: for the channels of each namespace.
        personal: for personal channels (`#user`).
        broadcast: for the broadcast channel (`*`).

    Raises:
        ConfigurationError: a namespace name or a `channel_regex` is malformed.
    """

    default: NamespaceOptions = NamespaceOptions()
    named: dict[str, NamespaceOptions] = {}
    personal: NamespaceOptions = NamespaceOptions(presence=True)
    broadcast: NamespaceOptions = NamespaceOptions()

    def __post_init__(self) -> None:
        for name in self.named:
            if not _NAMESPACE.fullmatch(name):
                raise ConfigurationError(
                    f"the namespace {name!r} is not a name: use 2 to 64 letters, digits, `-` and `_`"
                )
        self._patterns = {id(o): _compile(o) for o in (self.default, *self.named.values()) if o.channel_regex}

    def options(self, channel: str) -> NamespaceOptions | None:
        """Return the options of `channel`, or None where its name or its namespace is not known."""
        if channel.startswith(PERSONAL_PREFIX):
            return self.personal if is_user(channel[1:]) else None
        if channel == BROADCAST:
            return self.broadcast
        if channel.startswith(INTERNAL_PREFIX) or not _NAME.fullmatch(channel):
            return None
        namespace, rest = split(channel)
        options = self.default if namespace is None else self.named.get(namespace)
        if options is not None and options.channel_regex and not self._patterns[id(options)].fullmatch(rest):
            return None
        return options

    def explain(self, channel: str) -> str:
        """Say why `options` knows no channel of this name."""
        if channel.startswith(PERSONAL_PREFIX):
            everyone = "to reach everyone, call broadcast_push or publish into `*`"
            return f"it would be a user's own, and {explain_user(channel[1:], everyone)}"
        if channel.startswith(INTERNAL_PREFIX):
            return "names with `!` are the gateways' own"
        if not _NAME.fullmatch(channel):
            return f"a name has 1 to {NAME_BYTES} characters of printable ASCII and no spaces"
        namespace, _ = split(channel)
        if namespace is not None and namespace not in self.named:
            return f"no namespace {namespace!r} is configured"
        return "its name does not match the channel_regex there"


def _compile(options: NamespaceOptions) -> re.Pattern[str]:
    try:
        return re.compile(options.channel_regex)
    except re.error as error:
        raise ConfigurationError(f"channel_regex {options.channel_regex!r} is not a pattern: {error}") from None


def is_channel(name: str) -> bool:
    """Whether a channel may have this name, wherever it belongs."""
    return _NAME.fullmatch(name) is not None


def split(channel: str) -> tuple[str | None, str]:
    """Return the namespace of a channel name, None without one, and what follows it."""
    bare = channel.removeprefix(PRIVATE_PREFIX)
    namespace, separator, rest = bare.partition(NAMESPACE_SEPARATOR)
    return (namespace, rest) if separator else (None, bare)


def personal(user: str) -> str:
    """Return the personal channel of `user`."""
    return PERSONAL_PREFIX + user


def owned_by_server(channel: str) -> bool:
    """Whether no client may name this channel: personal channels, the broadcast channel, internal ones."""
    return channel == BROADCAST or channel.startswith((PERSONAL_PREFIX, INTERNAL_PREFIX))


def may_subscribe(channel: str, options: NamespaceOptions, rights: Rights) -> ErrorCode | None:
    """Decide a client's own subscription without a token. None means yes, otherwise the error to answer."""
    if not _admits(channel, options, rights.user):
        return PERMISSION_DENIED
    if _is_user_limited(channel, options):
        return None
    allowed = options.allow_subscribe_for_client and (not rights.anonymous or options.allow_subscribe_for_anonymous)
    return None if allowed else PERMISSION_DENIED


def may_publish(channel: str, options: NamespaceOptions, rights: Rights) -> bool:
    """Whether a client may publish into a channel."""
    return not owned_by_server(channel) and _allowed(
        _admits(channel, options, rights.user),
        rights,
        client=options.allow_publish_for_client,
        subscriber=options.allow_publish_for_subscriber,
        anonymous=options.allow_publish_for_anonymous,
    )


def may_see_presence(channel: str, options: NamespaceOptions, rights: Rights) -> bool:
    """Whether a client may ask who, or how many, are subscribed."""
    return _allowed(
        _admits(channel, options, rights.user),
        rights,
        client=options.allow_presence_for_client,
        subscriber=options.allow_presence_for_subscriber,
        anonymous=options.allow_presence_for_anonymous,
    )


def may_read_history(channel: str, options: NamespaceOptions, rights: Rights) -> bool:
    """Whether a client may read the history."""
    return _allowed(
        _admits(channel, options, rights.user),
        rights,
        client=options.allow_history_for_client,
        subscriber=options.allow_history_for_subscriber,
        anonymous=options.allow_history_for_anonymous,
    )


def is_limited_to_others(channel: str, options: NamespaceOptions, user: str) -> bool:
    """Whether a channel's name says who may come in, and this user is not among them."""
    return _is_user_limited(channel, options) and not _is_listed(channel, user)


def _is_listed(channel: str, user: str) -> bool:
    return bool(user) and user in channel.rpartition(USERS_SEPARATOR)[2].split(",")


def _is_user_limited(channel: str, options: NamespaceOptions) -> bool:
    return options.allow_user_limited_channels and USERS_SEPARATOR in channel


def _admits(channel: str, options: NamespaceOptions, user: str) -> bool:
    """Whether the name alone lets a user in, before any option is asked: not a private one, nor one of other users."""
    if owned_by_server(channel) or channel.startswith(PRIVATE_PREFIX):
        return False
    return not is_limited_to_others(channel, options, user)


def _allowed(admitted: bool, rights: Rights, *, client: bool, subscriber: bool, anonymous: bool) -> bool:
    """Decide a right. What every client may do, they may where the name admits them or they are subscribed."""
    if rights.subscribed and subscriber:
        return True
    return client and (admitted or rights.subscribed) and (anonymous or not rights.anonymous)
