"""`subscribe`, `unsubscribe` and `sub_refresh`: the channels a client chooses itself.

Source: docs/protocol.md, "Commands" and "Positions and recovery".
"""

from __future__ import annotations

from functools import partial

from messageflow.core.channels import owned_by_server
from messageflow.core.claims import SubscriptionClaims
from messageflow.core.codes import (
    ALREADY_SUBSCRIBED,
    MALFORMED,
    NOT_AVAILABLE,
    PERMISSION_DENIED,
    UNKNOWN_CHANNEL,
    UNRECOVERABLE,
    CommandRefused,
    Disconnected,
    ErrorCode,
)
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.permissions import Rights, may_subscribe
from messageflow.core.protocol import (
    EmptyResult,
    SubRefreshRequest,
    SubRefreshResult,
    SubscribeRequest,
    UnsubscribeRequest,
)
from messageflow.core.revocations import UNDATED
from messageflow.errors import TokenError, TokenReason
from messageflow.hub.channels_per_connection import check_one_more
from messageflow.hub.client_info_changes import replace_chan_info
from messageflow.hub.commands.authorize import authorize
from messageflow.hub.commands.rights import is_granted
from messageflow.hub.delta_recovery import DeltaRecovery
from messageflow.hub.recovery import Recovery
from messageflow.hub.runtime import NEVER
from messageflow.hub.services import Services
from messageflow.hub.session import Session
from messageflow.hub.subscription import TokenMark
from messageflow.hub.token_refusals import refuse

REJECT_UNRECOVERED = 2  # bit of `flag`: answer an error instead of `recovered: false`
DELTAS = ("", "fossil")
SHARED_POLL = 4  # `type` of a subscription that is polled; 1 to 3 are maps; a stream, which is all we have, is 0


async def subscribe(services: Services, session: Session, command_id: int, request: SubscribeRequest) -> None:
    """Check the right, come in, answer, go live."""
    name = _check_name(request.channel)
    if request.delta not in DELTAS:
        raise Disconnected(MALFORMED, "an unknown delta type")
    if request.type:
        raise CommandRefused(NOT_AVAILABLE if request.type == SHARED_POLL else PERMISSION_DENIED)
    if session.is_in(name):
        raise CommandRefused(ALREADY_SUBSCRIBED)
    check_one_more(services.runtime.limits, session)
    options, claims, refusal = _look_up_right(services, session, name, request.token)
    if claims is None and is_granted(services, session, "subscribe", name, options):
        refusal = None
    elif claims is None and services.hooks.authorize is not None:
        refusal = await authorize(services.hooks.authorize, session, name, "subscribe", refusal)
    if refusal is not None:
        raise CommandRefused(refusal)
    enter = DeltaRecovery if request.delta and _has_deltas(session, options, request.delta) else Recovery
    recovery = enter(services, session, name, options, request, False)
    if claims is not None:
        recovery.apply(claims.options, services.runtime.deadline(claims.expires_at))
        recovery.subscription.token = _mark(claims)
        services.heartbeat.expiries.note(session)
    preparing = recovery.prepare()
    if preparing is not None:
        await preparing
        if recovery.is_void:
            recovery.abandon()
            raise CommandRefused(PERMISSION_DENIED)
    result = recovery.complete()
    if request.flag & REJECT_UNRECOVERED and request.recover and not result.recovered:
        recovery.abandon()
        raise CommandRefused(UNRECOVERABLE)
    session.reply(command_id, "subscribe", result)
    recovery.go_live()


def _has_deltas(session: Session, options: NamespaceOptions, kind: str) -> bool:
    """Whether changes may be told apart: how long one is tells something of what is secret."""
    return kind in options.allowed_delta_types and options.compress and session.encoder.deltas is not None


def _check_name(channel: str) -> str:
    if not channel:
        raise Disconnected(MALFORMED, "a command names no channel")
    return channel


def _look_up_right(
    services: Services, session: Session, name: str, token: str
) -> tuple[NamespaceOptions, SubscriptionClaims | None, ErrorCode | None]:
    """Return what the channel does for this session, what its token says, and without one why it may not come in."""
    options = services.namespaces.options(name)
    if options is None:
        raise CommandRefused(UNKNOWN_CHANNEL)
    if not token:
        return options, None, may_subscribe(name, options, Rights(session.user))  # it is not in yet
    if owned_by_server(name):
        raise CommandRefused(PERMISSION_DENIED)
    claims = _verify(services, session, name, token, "subscribe")
    return claims.options.apply_to(options), claims, None


def _verify(services: Services, session: Session, name: str, token: str, command: str) -> SubscriptionClaims:
    refused = partial(refuse, services.runtime, session.client, command)
    try:
        claims = services.verifier.subscription(token, services.runtime.wall())
    except TokenError as error:
        raise refused(error.reason, str(error)) from None
    if claims.channel != name or claims.user != session.user or claims.client not in ("", None, session.client):
        raise refused(TokenReason.WRONG_BEARER, "a subscription token for another channel, user or client")
    revoked = services.revocation_list
    if revoked.refuses(claims.user, claims.issued_at, claims.token) or revoked.withdraws(
        claims.user, claims.issued_at, name
    ):
        raise refused(TokenReason.REVOKED, "the token was revoked")
    return claims


def _mark(claims: SubscriptionClaims) -> TokenMark:
    return TokenMark(claims.issued_at or UNDATED, hash(claims.token))


async def unsubscribe(services: Services, session: Session, command_id: int, request: UnsubscribeRequest) -> None:
    """Leave a channel. One that was never joined is fine; one the server chose is not the client's to leave."""
    name = _check_name(request.channel)
    subscription = session.find_subscription(name)
    if subscription is not None and subscription.terms.server_side:
        raise CommandRefused(PERMISSION_DENIED)
    services.channels.leave(session, name)
    session.reply(command_id, "unsubscribe", EmptyResult())


async def sub_refresh(services: Services, session: Session, command_id: int, request: SubRefreshRequest) -> None:
    """Extend a subscription with a new token."""
    name = _check_name(request.channel)
    if not request.token:
        raise Disconnected(MALFORMED, "sub_refresh without a token")
    subscription = session.find_subscription(name)
    if subscription is None:
        raise CommandRefused(PERMISSION_DENIED)
    claims = _verify(services, session, name, request.token, "sub_refresh")
    runtime = services.runtime
    subscription.expires_at = runtime.deadline(claims.expires_at)
    subscription.token = _mark(claims)
    replace_chan_info(services.presence, subscription, claims.options.info)
    services.heartbeat.expiries.note(session)
    expires = subscription.expires_at != NEVER
    ttl = runtime.time_to_refresh(subscription.expires_at) if expires else 0
    session.reply(command_id, "sub_refresh", SubRefreshResult(expires, ttl))
