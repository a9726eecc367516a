"""What a control message does to the sessions of this worker; the messages themselves are in `core.control`.

Owns the decisions that wait: those about very many sessions, and those about sessions that are still connecting.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping

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
from messageflow.hub.recovery import Recovery
from messageflow.hub.runtime import NEVER
from messageflow.hub.services import Services
from messageflow.hub.session import Session
from messageflow.hub.session_state import State

log = logging.getLogger("messageflow.hub")

SLICE = 100  # sessions, about 5 ms of the event loop


class ControlHandler:
    """Carries out the decisions of the server about users.

    Messages take effect in the order they came: what takes time is registered at once, and ended by what comes after.

    Args:
        services: the parts of the hub it uses.
        users: the sessions of each user.
    """

    def __init__(self, services: Services, users: Mapping[str, tuple[Session, ...]]) -> None:
        self._services = services
        self._users = users
        self._waiting: deque[tuple[Session, Control]] = deque()  # decisions about many sessions
        self.deferred: dict[Session, list[Control]] = {}  # those about sessions that wait for their answer

    def apply(self, message: bytes) -> None:
        """Carry out a message on the sessions of this worker. What is not understood is logged and passed over."""
        try:
            control = decode_control(message)
        except msgspec.MsgspecError as error:
            log.error("control_not_understood", extra={"error": str(error)})
            return
        waiting = self._waiting
        before = len(waiting)
        sessions = self._users.get(control.user, ())
        waiting.extend((each, control) for each in sessions if not control.client or each.client == control.client)
        if not before:
            self._apply_slice()
            if waiting:
                self._services.runtime.spawn(self._apply_rest())

    async def _apply_rest(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)
            self._apply_slice()

    def _apply_slice(self) -> None:
        """Carry out what waits on a number of sessions: a user may have thousands, and others want their turn."""
        waiting = self._waiting
        for _ in range(min(SLICE, len(waiting))):
            session, control = waiting.popleft()
            if session.state is State.CONNECTING and not isinstance(control, DisconnectUser):
                self.deferred.setdefault(session, []).append(control)
            else:
                self._apply_to(session, control)

    def apply_deferred(self, session: Session) -> None:
        """A session is connected: carry out what was decided about it meanwhile, in order."""
        for control in self.deferred.pop(session, ()):
            self._apply_to(session, control)

    def forget(self, session: Session) -> None:
        """A session has ended."""
        self.deferred.pop(session, None)

    def _apply_to(self, session: Session, control: Control) -> None:
        match control:
            case DisconnectUser():
                if session.client not in control.spare:
                    session.disconnect(Disconnect(control.code, control.reason))
            case UnsubscribeUser():
                _unsubscribe(session, control.channel)
            case RefreshUser():
                self._refresh(session, control)
            case SubscribeUser():
                self._subscribe(session, control)

    def _refresh(self, session: Session, control: RefreshUser) -> None:
        if control.expired:
            session.disconnect(CONNECTION_EXPIRED)
            return
        runtime = self._services.runtime
        session.expires_at = runtime.deadline(control.expires_at)
        self._services.heartbeat.expiries.note(session)
        expires = session.expires_at != NEVER
        session.push("", Refreshed(expires, runtime.time_to_refresh(session.expires_at) if expires else 0))

    def _subscribe(self, session: Session, control: SubscribeUser) -> None:
        name = control.channel
        options = self._services.namespaces.options(name)
        if options is None or session.is_in(name) or session.closed:
            return
        since = control.since
        request = (
            SubscribeRequest(recover=True, epoch=since.epoch, offset=since.offset, tag=since.tag)
            if since
            else SubscribeRequest()
        )
        recovery = Recovery(self._services, session, name, control.options.apply_to(options), request, True)
        recovery.apply(control.options, self._services.runtime.deadline(control.expires_at))
        self._services.heartbeat.expiries.note(session)
        self._services.runtime.spawn(_complete(recovery, session, name, since))


def _unsubscribe(session: Session, channel: str) -> None:
    names = [each.channel.name for each in session.subscriptions]
    own = {name for name in names if name.startswith("#") or name == "*"}
    names = [channel] if channel else [name for name in names if name not in own]
    for name in names:
        session.unsubscribe(name, UNSUBSCRIBED_BY_SERVER)


async def _complete(recovery: Recovery, session: Session, name: str, since: StreamPosition | None) -> None:
    try:
        preparing = recovery.prepare()
        if preparing is not None:
            await preparing
    except BrokerError as error:
        log.error("subscribe_failed", extra={"channel": name, "error": str(error)})
        return
    if recovery.is_void:
        recovery.abandon()
        return
    result = recovery.complete()
    if since is not None and result.recovered:
        recovery.catch_up_from(Position(since.epoch, since.offset, since.tag))
    session.push(
        name,
        Subscribed(result.recoverable, result.epoch, result.offset, result.tag, result.positioned, result.data),
    )
    recovery.go_live()
