"""`connect` and `refresh`: who the client is, what the server subscribes it to, and for how long.

Source: docs/protocol.md, "A connection" and "Positions and recovery".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
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
from messageflow.hub.session import NEVER, State
from messageflow.hub.subscribing import Subscribing
from messageflow.version import VERSION

if TYPE_CHECKING:
    from messageflow.hub.hub import Hub
    from messageflow.hub.session import Session

SLICE = 64  # channels of a token that are entered, about 2 ms of the event loop, between which others have their turn
NO_OPTIONS = SubscribeOptions()
NOTHING_HELD = SubscribeRequest()


async def connect(session: Session, command_id: int, request: ConnectRequest) -> None:
    """Authenticate, subscribe to what the server decides, answer, and go live in one step."""
    hub = session.hub
    session.state = State.CONNECTING
    try:
        claims = _believe(session, request.token)
        channels = list(_server_side(hub, claims))
        if hub.user_cap.is_reached(claims.user):
            await hub.user_cap.make_room(claims.user)
        _admit(session, claims)
    except CommandRefused:
        session.state = State.REFUSED
        raise
    entries: list[Subscribing] = []
    room = hub.limits.chunk_bytes  # in one answer, however many channels it speaks of
    hub.connecting += 1
    try:
        for number, (name, options, subscribe_options) in enumerate(channels, 1):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            entry = Subscribing(session, name, options, request.subs.get(name, NOTHING_HELD), server_side=True)
            entry.apply(subscribe_options)
            entry.room = room
            entries.append(entry)
            await entry.prepare()
            room -= entry.carried
    except BaseException as error:
        for entry in entries:
            entry.abandon()
        if isinstance(error, BrokerError):
            hub.log_limited(logging.WARNING, "connect_failed", client=session.client, error=str(error))
            raise Disconnected(SERVER_ERROR, str(error)) from error
        raise
    finally:
        hub.connecting -= 1
    entries = [entry for entry in entries if not entry.is_void()]
    session.state = State.CONNECTED
    expires = session.expires_at != NEVER
    result = ConnectResult(
        client=session.client,
        version=VERSION,
        expires=expires,
        ttl=hub.time_to_refresh(session.expires_at) if expires else 0,
        subs={entry.channel.name: entry.complete() for entry in entries},
        ping=max(1, round(hub.limits.ping_interval)),
        pong=True,
    )
    session.reply(command_id, "connect", result)
    for entry in entries:
        entry.go_live()
    hub.connected(session)


def _admit(session: Session, claims: ConnectionClaims) -> None:
    """Give the session its user. From here on a decision about the user finds it, so those before are looked at now."""
    hub, user = session.hub, claims.user
    if hub.revocation_list.refuses(user, claims.issued_at):
        raise CommandRefused(TOKEN_EXPIRED)
    if hub.user_cap.is_reached(user):
        most = hub.limits.connections_per_user
        raise Disconnected(CONNECTION_LIMIT, f"the user has {most} connections that answer")
    session.user = user
    session.issued_at = claims.issued_at or UNDATED
    session.info = ClientInfo(user, session.client, raw(claims.info or b""))
    session.expires_at = hub.deadline(claims.expires_at)
    hub.admit(session)


def _believe(session: Session, token: str) -> ConnectionClaims:
    """Return what the token says, or end the attempt as the protocol wants it."""
    hub = session.hub
    if hub.draining:
        raise Disconnected(SHUTDOWN)
    if not token:
        if hub.verifier.allow_anonymous:
            return ConnectionClaims(user="", expires_at=None)
        raise Disconnected(MALFORMED, "connect without a token, and anonymous clients are not allowed")
    try:
        return hub.verifier.connection(token, hub.wall())
    except TokenExpired:
        raise CommandRefused(TOKEN_EXPIRED) from None
    except TokenError as error:
        raise Disconnected(INVALID_TOKEN, str(error)) from None


def _server_side(hub: Hub, claims: ConnectionClaims) -> Iterator[tuple[str, NamespaceOptions, SubscribeOptions]]:
    """Yield the channels the server subscribes a session to: the user's own, everybody's, and those of the token."""
    if claims.user:
        yield personal(claims.user), hub.namespaces.personal, NO_OPTIONS
        yield BROADCAST, hub.namespaces.broadcast, NO_OPTIONS
    granted = dict.fromkeys(claims.channels, NO_OPTIONS) | dict(claims.subs)
    if len(granted) > hub.limits.channels_per_connection:
        raise Disconnected(INVALID_TOKEN, "the token grants more channels than a connection may hold")
    for name, subscribe_options in granted.items():
        if owned_by_server(name):
            raise CommandRefused(PERMISSION_DENIED)
        options = hub.namespaces.options(name)
        if options is None:
            raise CommandRefused(UNKNOWN_CHANNEL)
        yield name, overridden(options, subscribe_options), subscribe_options


def overridden(options: NamespaceOptions, by: SubscribeOptions) -> NamespaceOptions:
    """Return the options of a channel as a token changes them for one subscription."""
    changes = {
        name: value
        for name in ("presence", "join_leave", "force_recovery", "force_positioning", "force_push_join_leave")
        if (value := getattr(by, name)) is not None
    }
    return msgspec.structs.replace(options, **changes) if changes else options


async def refresh(session: Session, command_id: int, request: RefreshRequest) -> None:
    """Extend the connection with a new token of the same user."""
    if not request.token:
        raise Disconnected(MALFORMED, "refresh without a token")
    hub = session.hub
    try:
        claims = hub.verifier.connection(request.token, hub.wall())
    except TokenExpired:
        raise Disconnected(CONNECTION_EXPIRED, "refresh with an expired token") from None
    except TokenError as error:
        raise Disconnected(INVALID_TOKEN, str(error)) from None
    if claims.user != session.user:
        raise Disconnected(INVALID_TOKEN, "refresh with the token of another user")
    if hub.revocation_list.refuses(claims.user, claims.issued_at):
        raise Disconnected(CONNECTION_EXPIRED, "refresh with a revoked token")
    session.issued_at = claims.issued_at or UNDATED
    session.expires_at = hub.deadline(claims.expires_at)
    if claims.info:
        session.show_as(Raw(claims.info))
    hub.heartbeat.note_expiry(session)
    expires = session.expires_at != NEVER
    ttl = hub.time_to_refresh(session.expires_at) if expires else 0
    session.reply(command_id, "refresh", RefreshResult(session.client, VERSION, expires, ttl))
