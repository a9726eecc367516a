"""What others see of a client, replaced as a newer token says something else.

The shape is `core.client_info`'s. Never decides who is shown; that is said by the terms of a subscription.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from messageflow.core.client_info import ClientInfo
from messageflow.hub.presence_changes import PresenceChanges
from messageflow.hub.session import Session
from messageflow.hub.subscription import Subscription


def replace_conn_info(presence: PresenceChanges, session: Session, conn_info: bytes) -> None:
    """Show a client to others, in all its channels, with what a newer token says of it."""
    info = Raw(conn_info)
    if session.info is None or session.info.conn_info == info:
        return
    session.info = msgspec.structs.replace(session.info, conn_info=info)
    for subscription in session.subscriptions:
        if subscription.info is not None:
            _show(presence, subscription, msgspec.structs.replace(subscription.info, conn_info=info))


def replace_chan_info(presence: PresenceChanges, subscription: Subscription, chan_info: bytes | None) -> None:
    """Show a client to others, in one channel, with what a newer token for it says; none changes nothing."""
    info = subscription.info
    if info is not None and chan_info and info.chan_info != Raw(chan_info):
        _show(presence, subscription, msgspec.structs.replace(info, chan_info=Raw(chan_info)))


def _show(presence: PresenceChanges, subscription: Subscription, info: ClientInfo) -> None:
    subscription.info = info
    if subscription.terms.keep:
        presence.update(subscription.channel.name, info)
