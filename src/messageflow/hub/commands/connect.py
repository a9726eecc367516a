"""`connect` and `refresh`: who the client is, what the server subscribes it to, and for how long.

Source: docs/protocol.md, "A connection" and "Positions and recovery".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from msgspec import Raw

from messageflow.core.channels import BROADCAST, NamespaceOptions, owned_by_server, personal
from messageflow.core.claims import ConnectionClaims, SubscribeOptions
from messageflow.core.codes import (
    CONNECTION_EXPIRED,
    CONNECTION_LIMIT,
    INVALID_TOKEN,
    MALFORMED,
    PERMISSION_DENIED,
    SERVER_ERROR,
    SHUTDOWN,
    TOKEN_EXPIRED,
    UNKNOWN_CHANNEL,
    CommandRefused,
    Disconnected,
)
from messageflow.core.protocol import (
    ClientInfo,
    ConnectRequest,
    ConnectResult,
    RefreshRequest,
    RefreshResult,
    SubscribeRequest,
    raw,
)
from messageflow.core.revocations import UNDATED
from messageflow.errors import BrokerError, TokenError, TokenExpired
from messageflow.hub.runtime import NEVER
from messageflow.hub.services import Services
from messageflow.hub.session import Session, State
from messageflow.hub.subscribing import Subscribing
from messageflow.version import VERSION

SLICE = 64  # channels of a token that are entered, about 2 ms of the event loop, between which others have their turn
NO_OPTIONS = SubscribeOptions()
NOTHING_HELD = SubscribeRequest()


async def connect(services: Services, session: Session, command_id: int, request: ConnectRequest) -> None:
    """Authenticate, subscribe to what the server decides, answer, and go live in one step."""
    sessions, runtime = services.sessions, services.runtime
    session.state = State.CONNECTING
    try:
        claims = _verify(services, request.token)
        channels = list(_list_server_side(services, claims))
        if services.user_cap.is_reached(claims.user):
            await services.user_cap.make_room(claims.user)
        _admit(services, session, claims)
    except CommandRefused:
        session.state = State.REFUSED
        raise
    coming: list[Subscribing] = []
    room = runtime.limits.chunk_bytes  # in one answer, however many channels it speaks of
    sessions.connecting += 1
    try:
        for number, (name, options, subscribe_options) in enumerate(channels, 1):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            subscribing = Subscribing(
                services, session, name, options, request.subs.get(name, NOTHING_HELD), server_side=True
            )
            subscribing.apply(subscribe_options)
            subscribing.room = room
            coming.append(subscribing)
            await subscribing.prepare()
            room -= subscribing.carried
    except BaseException as error:
        for each in coming:
            each.abandon()
        if isinstance(error, BrokerError):
            runtime.log_limited(logging.WARNING, "connect_failed", client=session.client, error=str(error))
            raise Disconnected(SERVER_ERROR, str(error)) from error
        raise
    finally:
        sessions.connecting -= 1
    for each in coming:
        if each.is_void:
            each.abandon()
    coming = [each for each in coming if not each.is_void]
    session.state = State.CONNECTED
    expires = session.expires_at != NEVER
    result = ConnectResult(
        client=session.client,
        version=VERSION,
        expires=expires,
        ttl=runtime.time_to_refresh(session.expires_at) if expires else 0,
        subs={each.channel.name: each.complete() for each in coming},
        ping=max(1, round(runtime.limits.ping_interval)),
        pong=not session.encoder.one_way,
    )
    session.reply(command_id, "connect", result)
    for each in coming:
        each.go_live()
    sessions.complete_connect(session)


def _admit(services: Services, session: Session, claims: ConnectionClaims) -> None:
    """Give the session its user. From here on a decision about the user finds it, so those before are looked at now."""
    user = claims.user
    if services.revocation_list.refuses(user, claims.issued_at):
        raise CommandRefused(TOKEN_EXPIRED)
    if services.user_cap.is_reached(user):
        most = services.runtime.limits.connections_per_user
        raise Disconnected(CONNECTION_LIMIT, f"the user has {most} connections that answer")
    session.user = user
    session.issued_at = claims.issued_at or UNDATED
    session.info = ClientInfo(user, session.client, raw(claims.info or b""))
    session.expires_at = services.runtime.deadline(claims.expires_at)
    services.sessions.admit(session)


def _verify(services: Services, token: str) -> ConnectionClaims:
    """Return what the token says, or end the attempt as the protocol wants it."""
    if services.sessions.draining:
        raise Disconnected(SHUTDOWN)
    if not token:
        if services.verifier.allow_anonymous:
            return ConnectionClaims(user="", expires_at=None)
        raise Disconnected(MALFORMED, "connect without a token, and anonymous clients are not allowed")
    try:
        return services.verifier.connection(token, services.runtime.wall())
    except TokenExpired:
        raise CommandRefused(TOKEN_EXPIRED) from None
    except TokenError as error:
        raise Disconnected(INVALID_TOKEN, str(error)) from None


def _list_server_side(
    services: Services, claims: ConnectionClaims
) -> Iterator[tuple[str, NamespaceOptions, SubscribeOptions]]:
    """Yield the channels the server subscribes a session to: the user's own, everybody's, and those of the token."""
    if claims.user:
        yield personal(claims.user), services.namespaces.personal, NO_OPTIONS
        yield BROADCAST, services.namespaces.broadcast, NO_OPTIONS
    granted = dict.fromkeys(claims.channels, NO_OPTIONS) | dict(claims.subs)
    if len(granted) > services.runtime.limits.channels_per_connection:
        raise Disconnected(INVALID_TOKEN, "the token grants more channels than a connection may hold")
    for name, subscribe_options in granted.items():
        if owned_by_server(name):
            raise CommandRefused(PERMISSION_DENIED)
        options = services.namespaces.options(name)
        if options is None:
            raise CommandRefused(UNKNOWN_CHANNEL)
        yield name, subscribe_options.apply_to(options), subscribe_options


async def refresh(services: Services, session: Session, command_id: int, request: RefreshRequest) -> None:
    """Extend the connection with a new token of the same user."""
    if not request.token:
        raise Disconnected(MALFORMED, "refresh without a token")
    try:
        claims = services.verifier.connection(request.token, services.runtime.wall())
    except TokenExpired:
        raise Disconnected(CONNECTION_EXPIRED, "refresh with an expired token") from None
    except TokenError as error:
        raise Disconnected(INVALID_TOKEN, str(error)) from None
    if claims.user != session.user:
        raise Disconnected(INVALID_TOKEN, "refresh with the token of another user")
    if services.revocation_list.refuses(claims.user, claims.issued_at):
        raise Disconnected(CONNECTION_EXPIRED, "refresh with a revoked token")
    session.issued_at = claims.issued_at or UNDATED
    session.expires_at = services.runtime.deadline(claims.expires_at)
    if claims.info:
        session.show_as(Raw(claims.info))
    services.heartbeat.note_expiry(session)
    expires = session.expires_at != NEVER
    ttl = services.runtime.time_to_refresh(session.expires_at) if expires else 0
    session.reply(command_id, "refresh", RefreshResult(session.client, VERSION, expires, ttl))
