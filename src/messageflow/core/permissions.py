"""What a client may do in a channel: subscribe, publish, see presence, read history, by its name and its namespace.

`allow_publish_for_subscriber` and its like are options of `core.namespaces`; here they are weighed. No option opens a
channel to a client that its name keeps out: to read, see or publish in a private channel, or in one limited to others,
takes a subscription. What a token allows beyond the options is `core.token_rights`; `hub.commands.rights` asks both.

Pure: owns these decisions, knows nothing of sessions, tokens or brokers.
"""

from __future__ import annotations

import msgspec

from messageflow.core.channels import PRIVATE_PREFIX, USERS_SEPARATOR, owned_by_server
from messageflow.core.codes import PERMISSION_DENIED, ErrorCode
from messageflow.core.namespaces import NamespaceOptions


class Rights(msgspec.Struct, frozen=True):
    """Who asks: the facts a right is decided on."""

    user: str
    subscribed: bool = False

    @property
    def anonymous(self) -> bool:
        return not self.user


def may_subscribe(channel: str, options: NamespaceOptions, rights: Rights) -> ErrorCode | None:
    """Decide a client's own subscription without a token. None means yes, otherwise the error to answer."""
    if not _admits(channel, options, rights.user):
        return PERMISSION_DENIED
    if _is_user_limited(channel, options):
        return None
    allowed = options.allow_subscribe_for_client and (rights.user or options.allow_subscribe_for_anonymous)
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
