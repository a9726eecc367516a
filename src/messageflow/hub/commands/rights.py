"""What a client may do in a channel: its namespace's options, what its token allows, and the application's word.

The token comes before the application: what it allows takes no question. Without either, the options decide.
"""

from __future__ import annotations

from collections.abc import Callable

from messageflow.core.channel_rights import Grant, Verb, allows
from messageflow.core.channels import NamespaceOptions, Rights, may_subscribe
from messageflow.core.codes import PERMISSION_DENIED, UNSUBSCRIBED_BY_SERVER, ErrorCode
from messageflow.hub.commands.authorize import authorize
from messageflow.hub.runtime import NEVER
from messageflow.hub.services import Services
from messageflow.hub.session import Session


def is_granted(session: Session, verb: Verb, channel: str, options: NamespaceOptions) -> bool:
    """Whether the token that a session stands on allows something in a channel."""
    return bool(session.grants) and allows(session.grants, verb, channel, options, session.user)


async def find_refusal(
    services: Services,
    session: Session,
    verb: Verb,
    channel: str,
    options: NamespaceOptions,
    may: Callable[[str, NamespaceOptions, Rights], bool],
) -> ErrorCode | None:
    """Return why a client may not do something in a channel, None where it may.

    Args:
        services: the parts of the hub.
        session: that wants to.
        verb: what.
        channel: where.
        options: of its namespace.
        may: whether these allow it.

    Raises:
        CommandRefused: the application says why not, or has failed.
        Disconnected: it ends the connection.
    """
    if is_granted(session, verb, channel, options):
        return None
    refusal = None if may(channel, options, session.look_up_rights(channel)) else PERMISSION_DENIED
    if services.hooks.authorize is not None:
        refusal = await authorize(services.hooks.authorize, session, channel, verb, refusal)
    return refusal


def replace_grants(services: Services, session: Session, grants: tuple[Grant, ...]) -> None:
    """Let a newer token decide; subscriptions end that stood on the older one and on nothing else."""
    before, session.grants = session.grants, grants
    if not before or before == grants:
        return
    for name, subscription in list(session.subscriptions.items()):
        options = services.namespaces.options(name)
        if subscription.server_side or subscription.issued_at != NEVER or options is None:
            continue
        was, now = (allows(each, "subscribe", name, options, session.user) for each in (before, grants))
        if was and not now and may_subscribe(name, options, session.look_up_rights(name)) is not None:
            session.unsubscribe(name, UNSUBSCRIBED_BY_SERVER)
