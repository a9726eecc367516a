"""What a client may do in a channel: its namespace's options, what its token allows, and the application's word.

The token comes before the application: what it allows takes no question. Without either, the options decide.
"""

from __future__ import annotations

from collections.abc import Callable

from messageflow.core.channel_patterns import matches
from messageflow.core.channels import owned_by_server
from messageflow.core.codes import PERMISSION_DENIED, UNSUBSCRIBED_BY_SERVER, ErrorCode
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.permissions import Rights, may_subscribe
from messageflow.core.token_rights import Grant, Verb, allows
from messageflow.hub.commands.authorize import authorize
from messageflow.hub.services import Services
from messageflow.hub.session import Session


def is_granted(services: Services, session: Session, verb: Verb, channel: str, options: NamespaceOptions) -> bool:
    """Whether the token that a session stands on allows something in a channel."""
    return (
        bool(session.grants)
        and allows(session.grants, verb, channel, options, session.user)
        and not services.revocation_list.withdraws(session.user, session.issued_at, channel)
    )


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
    if is_granted(services, session, verb, channel, options):
        return None
    refusal = None if may(channel, options, session.look_up_rights(channel)) else PERMISSION_DENIED
    if services.hooks.authorize is not None:
        refusal = await authorize(services.hooks.authorize, session, channel, verb, refusal)
    return refusal


def replace_grants(services: Services, session: Session, grants: tuple[Grant, ...]) -> None:
    """Let a newer token decide; subscriptions end that stood on the older one and on nothing else."""
    before = session.grants
    if before:
        grants = (*grants, *[grant for grant in before if grant.by_application])
    session.grants = grants
    if not before or before == grants:
        return
    for subscription in list(session.subscriptions):
        name = subscription.channel.name
        options = services.namespaces.options(name)
        if subscription.terms.server_side or subscription.token is not None or options is None:
            continue
        was, now = (allows(each, "subscribe", name, options, session.user) for each in (before, grants))
        if was and not now and may_subscribe(name, options, session.look_up_rights(name)) is not None:
            session.unsubscribe(name, UNSUBSCRIBED_BY_SERVER)


def withdraw(services: Services, session: Session, pattern: str, before: float) -> None:
    """End the subscriptions of a session that stand on what a token, made before a date, says of some channels.

    Those that the options of their namespace allow anyway stay, unless the server made them.
    """
    for subscription in list(session.subscriptions):
        name = subscription.channel.name
        options = services.namespaces.options(name)
        token = subscription.token
        issued_at = session.issued_at if token is None else token.issued_at
        if options is None or owned_by_server(name) or issued_at >= before or not matches(pattern, name):
            continue
        if not subscription.terms.server_side:
            stood = token is not None or allows(session.grants, "subscribe", name, options, session.user)
            if not stood or may_subscribe(name, options, session.look_up_rights(name)) is None:
                continue
        if session.is_connected:
            session.unsubscribe(name, UNSUBSCRIBED_BY_SERVER)
        else:
            services.channels.leave(session, name)  # it has not been told of it yet
