"""What a control message does to the sessions of this worker; the messages themselves are in `core.control`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from messageflow.core.codes import CONNECTION_EXPIRED, UNSUBSCRIBED_BY_SERVER, Disconnect
from messageflow.core.control import (
    Control,
    DisconnectUser,
    RefreshUser,
    SubscribeUser,
    UnsubscribeUser,
    decode_control,
)
from messageflow.core.protocol import Refreshed, StreamPosition, Subscribed, SubscribeRequest
from messageflow.core.stream import Position
from messageflow.errors import BrokerError
from messageflow.hub.commands.connect import overridden
from messageflow.hub.session import NEVER, Session, State
from messageflow.hub.subscribing import Subscribing

if TYPE_CHECKING:
    from messageflow.hub.hub import Hub

log = logging.getLogger("messageflow.hub")

SLICE = 100  # sessions, about 5 ms of the event loop


def apply_control(hub: Hub, message: bytes) -> None:
    """Carry out a control message on the sessions of this worker. What is not understood is logged and passed over.

    Messages take effect in the order they came: what takes time is registered at once, and ended by what comes after.
    """
    try:
        control = decode_control(message)
    except msgspec.MsgspecError as error:
        log.error("control_not_understood", extra={"error": str(error)})
        return
    waiting = hub.controls
    before = len(waiting)
    waiting.extend((session, control) for session in hub.matching(control.user, control.client))
    if not before:
        _apply_slice(waiting)
        if waiting:
            hub.spawn(_apply_rest(waiting))


async def _apply_rest(waiting: deque[tuple[Session, Control]]) -> None:
    while waiting:
        await asyncio.sleep(0)
        _apply_slice(waiting)


def _apply_slice(waiting: deque[tuple[Session, Control]]) -> None:
    """Carry out what waits on a number of sessions: a user may have thousands, and others want their turn."""
    for _ in range(min(SLICE, len(waiting))):
        session, control = waiting.popleft()
        if session.state is State.CONNECTING and not isinstance(control, DisconnectUser):
            session.hub.deferred.setdefault(session, []).append(control)
        else:
            apply_to(session, control)


def apply_to(session: Session, control: Control) -> None:
    """Carry out a decision on one session that is connected."""
    hub = session.hub
    match control:
        case DisconnectUser():
            if session.client not in control.spare:
                session.disconnect(Disconnect(control.code, control.reason))
        case UnsubscribeUser():
            _unsubscribe(hub, session, control.channel)
        case RefreshUser():
            _refresh(hub, session, control)
        case SubscribeUser():
            _subscribe(hub, session, control)


def _unsubscribe(hub: Hub, session: Session, channel: str) -> None:
    own = {name for name in session.subscriptions if name.startswith("#") or name == "*"}
    names = [channel] if channel else [name for name in session.subscriptions if name not in own]
    for name in names:
        hub.unsubscribe(session, name, UNSUBSCRIBED_BY_SERVER)


def _refresh(hub: Hub, session: Session, control: RefreshUser) -> None:
    if control.expired:
        session.disconnect(CONNECTION_EXPIRED)
        return
    session.expires_at = hub.deadline(control.expires_at)
    hub.heartbeat.note_expiry(session)
    expires = session.expires_at != NEVER
    session.push("", Refreshed(expires, hub.time_to_refresh(session.expires_at) if expires else 0))


def _subscribe(hub: Hub, session: Session, control: SubscribeUser) -> None:
    name = control.channel
    options = hub.namespaces.options(name)
    if options is None or name in session.subscriptions or session.closed:
        return
    since = control.since
    request = (
        SubscribeRequest(recover=True, epoch=since.epoch, offset=since.offset, tag=since.tag)
        if since
        else SubscribeRequest()
    )
    entry = Subscribing(session, name, overridden(options, control.options), request, server_side=True)
    entry.apply(control.options, hub.deadline(control.expires_at))
    hub.heartbeat.note_expiry(session)
    hub.spawn(_complete(entry, session, name, since))


async def _complete(entry: Subscribing, session: Session, name: str, since: StreamPosition | None) -> None:
    try:
        await entry.prepare()
    except BrokerError as error:
        log.error("subscribe_failed", extra={"channel": name, "error": str(error)})
        return
    if entry.is_void():
        return
    result = entry.complete()
    if since is not None and result.recovered:
        entry.catch_up_from(Position(since.epoch, since.offset, since.tag))
    session.push(
        name,
        Subscribed(result.recoverable, result.epoch, result.offset, result.tag, result.positioned, result.data),
    )
    entry.go_live()
