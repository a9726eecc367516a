"""`connect`: who the client is, what the server subscribes it to, and for how long.

Source: docs/protocol.md, "A connection" and "Positions and recovery".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from messageflow.core.channels import BROADCAST, owned_by_server, personal
from messageflow.core.claims import ConnectionClaims, SubscribeOptions
from messageflow.core.client_info import make_client_info
from messageflow.core.codes import (
    CONNECTION_LIMIT,
    MALFORMED,
    PERMISSION_DENIED,
    SERVER_ERROR,
    SHUTDOWN,
    UNKNOWN_CHANNEL,
    CommandRefused,
    Disconnected,
)
from messageflow.core.exclusion import MOST_FORMER, is_client_id
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.protocol import (
    ConnectRequest,
    ConnectResult,
    SubscribeRequest,
    raw,
)
from messageflow.core.revocations import UNDATED
from messageflow.core.token_rights import Grant, read_grants
from messageflow.errors import BrokerError, TokenError, TokenReason
from messageflow.hub.channels_per_connection import check_granted
from messageflow.hub.hook_calls import Hook, describe
from messageflow.hub.hooks import ConnectAnswer, ConnectQuestion
from messageflow.hub.recovery import Recovery
from messageflow.hub.runtime import NEVER
from messageflow.hub.services import Services
from messageflow.hub.session import Session
from messageflow.hub.session_state import State
from messageflow.hub.tickets import TicketConnect, redeem
from messageflow.hub.token_refusals import refuse
from messageflow.version import VERSION

SLICE = 64  # channels of a token that are entered, about 2 ms of the event loop, between which others have their turn
NO_OPTIONS = SubscribeOptions()
NOTHING_HELD = SubscribeRequest()
OUR_CLIENTS = "messageflow"  # begins what they say they are
_CONNECTING, _CONNECTED = State.CONNECTING, State.CONNECTED
Granted = tuple[str, NamespaceOptions, SubscribeOptions]  # a channel that the server subscribes a session to
WITHOUT_A_TOKEN = (
    "connect without a token (flow.token) or ticket (flow.ticket): give one, set allow_anonymous, or let on_connect "
    "return a user"
)


async def connect(services: Services, session: Session, command_id: int, request: ConnectRequest) -> None:
    """Authenticate, subscribe to what the server decides, answer, and go live in one step."""
    sessions, runtime = services.sessions, services.runtime
    session.state = _CONNECTING
    try:
        if services.hooks.connect is None and not isinstance(request, TicketConnect):
            claims, data = _verify(services, session, request.token), None
        else:
            claims, data = await _identify(services, session, request)
        channels = _list_server_side(services, session, claims, request)
        is_crowded = services.connections_per_user.is_reached(claims.user)
        if is_crowded:
            await services.connections_per_user.make_room(claims.user)
        _admit(services, session, claims, request.former, is_crowded=is_crowded)
    except CommandRefused:
        session.state = State.REFUSED
        raise
    coming: list[Recovery] = []
    has_waited = False
    revoked = services.revocation_list
    room = runtime.limits.history.chunk_bytes  # in one answer, however many channels it speaks of
    sessions.connecting += 1
    try:
        for number, granted in enumerate(channels, 1):
            if revoked.about_channels and revoked.withdraws(claims.user, claims.issued_at, granted[0]):
                continue
            if number % SLICE == 0:
                has_waited = True
                await asyncio.sleep(0)
            recovery = _begin_to_enter(services, session, granted, request)
            recovery.room = room
            coming.append(recovery)
            preparing = recovery.prepare()
            if preparing is not None:
                has_waited = True
                await preparing
                room -= recovery.carried
    except BaseException as error:
        _abandon(coming)
        if isinstance(error, BrokerError):
            runtime.log_limited(logging.WARNING, "connect_failed", client=session.client, error=str(error))
            raise Disconnected(SERVER_ERROR, str(error)) from error
        raise
    finally:
        sessions.connecting -= 1
    if has_waited:  # else nothing could end what was begun
        _leave_out_ended(coming)
    session.state = _CONNECTED
    session.reply(command_id, "connect", _make_result(services, session, coming, data))
    for each in coming:
        each.go_live()
    sessions.complete_connect(session)


def _begin_to_enter(services: Services, session: Session, granted: Granted, request: ConnectRequest) -> Recovery:
    name, options, subscribe_options = granted
    recovery = Recovery(services, session, name, options, request.subs.get(name, NOTHING_HELD), True)
    if subscribe_options is not NO_OPTIONS:
        recovery.apply(subscribe_options)
    return recovery


def _abandon(coming: list[Recovery]) -> None:
    for each in coming:
        each.abandon()


def _make_result(services: Services, session: Session, coming: list[Recovery], data: bytes | None) -> ConnectResult:
    """Return the answer; what each channel is completed with holds in this turn of the loop alone."""
    expires = session.expires_at != NEVER
    back = session.connection.way_back
    subs = {}
    for each in coming:  # no comprehension, which is a call (benchmarks: connect)
        subs[each.channel.name] = each.complete()
    return ConnectResult(
        client=session.client,
        version=VERSION,
        expires=expires,
        ttl=services.runtime.time_to_refresh(session.expires_at) if expires else 0,
        subs=subs,
        ping=max(1, round(services.runtime.limits.heartbeat.ping_interval)),
        pong=not session.encoder.one_way,
        data=raw(data) if data else UNSET,
        session="" if back is None else back.session,
        node="" if back is None else back.node,
    )


def _leave_out_ended(coming: list[Recovery]) -> None:
    """Give up what the server has ended while it was on its way."""
    for each in [each for each in coming if each.is_void]:
        each.abandon()
        coming.remove(each)


def _admit(
    services: Services, session: Session, claims: ConnectionClaims, former: Sequence[str], *, is_crowded: bool
) -> None:
    """Give the session its user. From here on a decision about the user finds it, so those before are looked at now.

    Args:
        services: what lets it in.
        session: who comes.
        claims: what it stands on.
        former: the ids of its connections before, as it says.
        is_crowded: whether the user had all the connections they may have, so that room was made, or not.
    """
    user = claims.user
    if services.revocation_list.refuses(user, claims.issued_at, claims.token):
        raise _refuse(services, session, TokenReason.REVOKED, "the token was revoked")
    if is_crowded and services.connections_per_user.is_reached(user):
        most = services.runtime.limits.connections_per_user
        raise Disconnected(CONNECTION_LIMIT, f"the user has {most} connections that answer")
    session.user = user
    if former:
        session.former = tuple(filter(is_client_id, former[-MOST_FORMER:]))
    session.issued_at = claims.issued_at or UNDATED
    session.grants = claims.grants
    session.token = hash(claims.token)
    session.info = make_client_info(user, session.client, claims.info)
    session.expires_at = services.runtime.deadline(claims.expires_at)
    services.sessions.admit(session)


async def _identify(
    services: Services, session: Session, request: ConnectRequest
) -> tuple[ConnectionClaims, bytes | None]:
    """Return what the token or the ticket says, as the application has it, and its data for the page."""
    if isinstance(request, TicketConnect):
        claims = await _redeem(services, session, request)
    else:
        claims = _verify(services, session, request.token)
    if services.hooks.connect is None:
        return claims, None
    return await _ask(services, session, services.hooks.connect, request, claims)


async def _redeem(services: Services, session: Session, request: TicketConnect) -> ConnectionClaims:
    """Return what the ticket says, or end the attempt."""
    if services.sessions.draining:
        raise Disconnected(SHUTDOWN)
    try:
        return await redeem(services, request)
    except TokenError as error:
        raise _refuse(services, session, error.reason, str(error)) from None
    except BrokerError as error:
        services.runtime.log_limited(logging.WARNING, "connect_failed", client=session.client, error=str(error))
        raise Disconnected(SERVER_ERROR, str(error)) from error


def _verify(services: Services, session: Session, token: str) -> ConnectionClaims:
    """Return what the token says, or end the attempt as the protocol wants it."""
    if services.sessions.draining:
        raise Disconnected(SHUTDOWN)
    if not token:
        if services.verifier.allow_anonymous or services.hooks.connect is not None:
            return ConnectionClaims(user="", expires_at=None)
        raise Disconnected(MALFORMED, WITHOUT_A_TOKEN)
    try:
        return services.verifier.connection(token, services.runtime.wall())
    except TokenError as error:
        raise _refuse(services, session, error.reason, str(error)) from None


def _refuse(services: Services, session: Session, reason: TokenReason, detail: str) -> CommandRefused | Disconnected:
    return refuse(services.runtime, session.client, "connect", reason, detail)


async def _ask(
    services: Services,
    session: Session,
    hook: Hook[ConnectQuestion, ConnectAnswer],
    request: ConnectRequest,
    claims: ConnectionClaims,
) -> tuple[ConnectionClaims, bytes | None]:
    """Ask the application. Returns what it makes of the claims, and its data for the page.

    One who is named by the application alone is as fresh as a token that was made now.
    """
    who = msgspec.structs.replace(describe(session), user=claims.user, info=claims.info or b"")
    question = ConnectQuestion(who, bytes(request.data), request.name, request.version, claims.expires_at)
    answer = await services.hooks.let_in(hook, session, question)
    changes: dict[str, Any] = {name: v for name in ("expires_at", "info") if (v := getattr(answer, name)) is not None}
    if answer.user is not None and answer.user != claims.user:
        if claims.user:
            raise Disconnected(SERVER_ERROR, "the connect hook names another user than the token")
        changes |= {"user": answer.user, "issued_at": services.runtime.wall()}
    elif not claims.user and not services.verifier.allow_anonymous:
        raise Disconnected(MALFORMED, WITHOUT_A_TOKEN)
    if answer.channels:
        _check_channels(services, answer.channels)
        changes["channels"] = (*claims.channels, *answer.channels)
    if answer.allow:
        changes["grants"] = (*claims.grants, *_read_allow(answer.allow))
    return msgspec.structs.replace(claims, **changes), answer.data


def _asks_for_broadcasts(claims: ConnectionClaims, request: ConnectRequest) -> bool:
    """Whether one that says what it is, as Centrifuge's SDKs do, is to have the channel that those know nothing of."""
    if request.name.startswith(OUR_CLIENTS):
        return True
    return BROADCAST in request.subs or BROADCAST in claims.channels or BROADCAST in claims.subs


def _check_channels(services: Services, names: tuple[str, ...]) -> None:
    """Take channels that cannot be for a mistake of the application, and not of the token or the client."""
    for name in names:
        if name == BROADCAST:
            continue
        if owned_by_server(name) or services.namespaces.options(name) is None:
            raise Disconnected(SERVER_ERROR, f"the connect hook gives a channel that cannot be: {name[:64]!r}")
    if len(set(names)) > services.runtime.limits.channels_per_connection:
        raise Disconnected(SERVER_ERROR, "the connect hook gives more channels than a connection may hold")


def _read_allow(allow: tuple[str, ...]) -> list[Grant]:
    try:
        return [grant._replace(by_application=True) for grant in read_grants(allow)]
    except ValueError as error:
        raise Disconnected(SERVER_ERROR, f"the connect hook allows what cannot be: {error}") from None


def _list_server_side(
    services: Services, session: Session, claims: ConnectionClaims, request: ConnectRequest
) -> list[Granted]:
    """Return the channels the server subscribes a session to: the user's own, everybody's, and those of the token."""
    namespaces, channels = services.namespaces, list[Granted]()
    if claims.user:
        channels = [(personal(claims.user), namespaces.personal, NO_OPTIONS)]
        if not request.name or _asks_for_broadcasts(claims, request):
            channels.append((BROADCAST, namespaces.broadcast, NO_OPTIONS))
    if not claims.channels and not claims.subs:
        return channels
    granted = dict.fromkeys(claims.channels, NO_OPTIONS) | dict(claims.subs)
    try:
        check_granted(services.runtime.limits, granted)
    except TokenError as error:
        raise _refuse(services, session, error.reason, str(error)) from None
    for name, subscribe_options in granted.items():
        if name == BROADCAST and claims.user:
            continue
        if owned_by_server(name):
            raise CommandRefused(PERMISSION_DENIED)
        options = namespaces.options(name)
        if options is None:
            raise CommandRefused(UNKNOWN_CHANNEL)
        channels.append((name, subscribe_options.apply_to(options), subscribe_options))
    return channels
