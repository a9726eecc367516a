"""One client's session: its identity, its subscriptions, and the end of it all.

It carries out its commands one after the other (`hub.command_queue`). It writes through its connection at once; bytes
wait in the transport, whose high-water mark makes the session *lagging* (see `hub.lagging_sessions`). When it ends, for
whatever reason, it is out of every channel before anything else can run.
"""

from __future__ import annotations

import asyncio
import logging

from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import (
    INSUFFICIENT_STATE,
    MALFORMED,
    TOO_MANY_COMMANDS,
    UNSUBSCRIBED_INSUFFICIENT,
    Disconnect,
    Unsubscribe,
)
from messageflow.core.permissions import Rights
from messageflow.core.protocol import Push, Unsubscribed
from messageflow.core.token_rights import Grant
from messageflow.dialects.base import Dialect, MalformedMessage, TooManyCommands
from messageflow.hub.command_queue import LONG_AGO, CommandQueue
from messageflow.hub.connection import Connection
from messageflow.hub.runtime import NEVER
from messageflow.hub.session_owner import SessionOwner
from messageflow.hub.session_state import State
from messageflow.hub.transport import framed

log = logging.getLogger("messageflow.hub")


# A member is looked up in an Enum as slowly as a function is called (benchmarks: connect).
_NEW, _CLOSED = State.NEW, State.CLOSED


class Session(CommandQueue):
    """The server's side of one client connection.

    Args:
        owner: the hub it belongs to.
        connection: the transport link.
        dialect: the language that its client speaks.
        client: its id, unguessable and unique.
    """

    __slots__ = (
        "catching_up",
        "expires_at",
        "former",
        "grants",
        "heard",
        "info",
        "issued_at",
        "pings",
        "slot",
        "token",
        "user",
    )

    def __init__(self, owner: SessionOwner[Session], connection: Connection, dialect: Dialect, client: str) -> None:
        self._held = ()  # in the place of a call of super's (benchmarks: connect)
        self._owner = owner
        self.connection = connection
        self.client = client
        self.former: tuple[str, ...] = ()  # the ids of its connections before, as it says
        self.user = ""
        self.info: ClientInfo | None = None
        self.state = _NEW
        self.expires_at = NEVER
        self.issued_at = NEVER  # as its token says
        self.token = 0  # the hash of its `jti`
        self.grants: tuple[Grant, ...] = ()  # as its token says
        self.encoder = framed(dialect, connection.kind)
        self.write = connection.write
        self.paused = False
        self.catching_up: asyncio.Task[None] | None = None
        self.pings = 0  # sent and not answered; on a slow link there may be several
        self.heard = True  # anything came since the last ping
        self.slot = -1
        self._inbox = None
        self._is_working = False
        self._worker = None
        self._unwritten = None
        self._metered = LONG_AGO

    @property
    def is_connected(self) -> bool:
        """Whether its connect command was answered, and it has not ended."""
        return self.state is State.CONNECTED

    @property
    def closed(self) -> bool:
        return self.state is _CLOSED

    @property
    def oldest_token(self) -> float:
        """When the oldest of the tokens on which it stands was made."""
        return min([self.issued_at, *(s.issued_at for s in self.subscriptions)])

    def look_up_rights(self, channel: str) -> Rights:
        """Return the facts on which a right in `channel` is decided."""
        return Rights(self.user, self.is_in(channel))

    # What the client sends

    def pong(self) -> None:
        """Take the answer to a ping."""
        if not self.pings:
            self.disconnect(MALFORMED, "a pong nobody asked for")
            return
        self.pings -= 1
        self._owner.note_heard(self)

    def receive(self, message: bytes) -> None:
        """Take a message of the client's."""
        dialect = self.encoder.dialect
        if message == dialect.pong:
            self.pong()
            return
        try:
            commands = dialect.decode(message, self._owner.runtime.commands_in_frame)
        except TooManyCommands as error:
            self.disconnect(TOO_MANY_COMMANDS, str(error))
        except MalformedMessage as error:
            self.disconnect(MALFORMED, str(error))
        else:
            self.receive_commands(commands, len(message))

    # What the client is sent

    def push(self, channel: str, push: Push) -> None:
        """Tell the client something it did not ask for."""
        self._send(self.encoder.pushes(channel, (push,)))

    def unsubscribe(self, name: str, why: Unsubscribe) -> None:
        """End a subscription by the server's decision and tell the client."""
        if self.is_in(name):
            self._owner.leave(self, name)
            self.push(name, Unsubscribed(why.code, why.reason))

    # The end

    def lose_position(self, channel: str) -> None:
        """The stream does not lead on from where the session stands: let it come back and learn what it can have."""
        if self.closed:
            return
        subscription = self.find_subscription(channel)
        if subscription is not None and subscription.terms.server_side:
            self.disconnect(INSUFFICIENT_STATE)
        else:
            self.unsubscribe(channel, UNSUBSCRIBED_INSUFFICIENT)

    def disconnect(self, disconnect: Disconnect, detail: str = "") -> None:
        """Tell the client why and end. Once it has ended, nothing changes any more."""
        if self.closed:
            return
        self._write_out()
        runtime = self._owner.runtime
        runtime.counters.count_disconnect(disconnect)
        level = logging.DEBUG if disconnect.reconnect else logging.WARNING
        runtime.log_limited(
            level,
            "disconnected",
            client=self.client,
            user=self.user,
            code=disconnect.code,
            reason=detail or disconnect.reason,
        )
        self._release(disconnect)
        self.connection.close(disconnect)

    def pause(self) -> None:
        """The transport's buffer is full: the session lags from here on."""
        self._owner.pause(self)

    def resume(self) -> None:
        """The transport has room again."""
        self._owner.resume(self)

    def lost(self) -> None:
        """The connection is gone."""
        self._release()

    def _release(self, why: Disconnect | None = None) -> None:
        if self.state is _CLOSED:
            return
        self.state = _CLOSED
        if self._inbox is not None:
            self._inbox.clear()
        for task in (self.catching_up, self._worker):
            if task is None or task is asyncio.current_task():
                continue
            if task is self._worker and self._owner.presence.is_joining(self.client):
                continue  # it sees by itself that it is over
            task.cancel()
        self._owner.remove(self, why)
