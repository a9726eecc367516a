"""One client's session: its identity, its subscriptions, its commands, and the end of it all.

A session handles its commands one after the other. It writes through its connection at once; bytes wait in the
transport, whose high-water mark makes the session *lagging* (see `hub.lagging_sessions`). When it ends, for whatever
reason, it is out of every channel before anything else can run.

A lagging session goes on being read, for its client may answer a ping or say goodbye. What it asks for waits until it
takes the answers, and only so much of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from messageflow.brokers.eager import InSteps, start_eagerly
from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import (
    INSUFFICIENT_STATE,
    INTERNAL,
    MALFORMED,
    SERVER_ERROR,
    TOO_MANY_COMMANDS,
    TOO_MANY_REQUESTS,
    UNSUBSCRIBED_INSUFFICIENT,
    CommandRefused,
    Disconnect,
    Disconnected,
    Unsubscribe,
)
from messageflow.core.command_meter import Verdict
from messageflow.core.permissions import Rights
from messageflow.core.protocol import Command, FaultyCommand, Push, Result, Unsubscribed
from messageflow.core.token_rights import Grant
from messageflow.dialects.base import Dialect, MalformedMessage, TooManyCommands
from messageflow.errors import BrokerError
from messageflow.hub.channel_members import Write
from messageflow.hub.connection import Connection
from messageflow.hub.inbox import Inbox
from messageflow.hub.runtime import NEVER
from messageflow.hub.session_owner import SessionOwner
from messageflow.hub.session_state import State
from messageflow.hub.subscription import SubscriptionHolder
from messageflow.hub.transport import framed

log = logging.getLogger("messageflow.hub")

WORK_SECONDS = 0.002  # that one session's commands may hold the event loop
JOINED = frozenset(("connect", "subscribe"))  # whose answers share a write: a page that comes asks for many at once
JOINED_BYTES = 1024  # of one such answer; one that is longer has a write of its own
LONG_AGO = -NEVER
LAGGING_INBOX = 65_536  # bytes of commands that wait for a lagging session before reading from it pauses

# A member is looked up in an Enum as slowly as a function is called (benchmarks: connect).
_NEW, _CLOSED, _ACCEPT = State.NEW, State.CLOSED, Verdict.ACCEPT


class Session(SubscriptionHolder):
    """The server's side of one client connection.

    Args:
        owner: the hub it belongs to.
        connection: the transport link.
        dialect: the language that its client speaks.
        client: its id, unguessable and unique.
    """

    __slots__ = (
        "_inbox",
        "_is_working",
        "_metered",
        "_owner",
        "_unwritten",
        "_worker",
        "catching_up",
        "client",
        "connection",
        "encoder",
        "expires_at",
        "former",
        "grants",
        "heard",
        "info",
        "issued_at",
        "paused",
        "pings",
        "slot",
        "state",
        "token",
        "user",
        "write",
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
        self.write: Write = connection.write
        self.paused = False
        self.catching_up: asyncio.Task[None] | None = None
        self.pings = 0  # sent and not answered; on a slow link there may be several
        self.heard = True  # anything came since the last ping
        self.slot = -1
        self._inbox: Inbox | None = None
        self._is_working = False
        self._worker: asyncio.Task[None] | None = None  # none where the work has not had to wait
        self._unwritten: list[bytes] | None = None  # answers that go into one write; None where each has its own
        self._metered = LONG_AGO  # when it may send as many commands as ever

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

    def receive_commands(self, commands: Sequence[Command | FaultyCommand], size: int) -> None:
        """Take commands in the order they came; those that wait are bounded by a pause in reading.

        Args:
            commands: the commands.
            size: bytes of the message that held them.
        """
        if self.state is _CLOSED:
            return
        inbox = self._inbox
        if inbox is None:
            inbox = self._inbox = Inbox()
            inbox.size = 0
            inbox.since = self._owner.runtime.clock()
        inbox.extend(commands)
        inbox.size += size
        if len(inbox) > self._owner.runtime.limits.inbox or (self.paused and inbox.size > LAGGING_INBOX):
            self.connection.pause_reading()
        if not self._is_working and not self.paused:
            self._begin_work()

    def waited(self, now: float) -> float:
        """Return the seconds that the command which is carried out has waited here at most."""
        return 0.0 if self._inbox is None else now - self._inbox.since

    def go_on(self) -> None:
        """The client takes what it is sent again: carry out what waits, and read on once that is done."""
        if not self._is_working and self._inbox:
            self._is_working = True
            self._worker = self._owner.runtime.spawn(self._work())  # in a turn of its own, of the many that go on now
        elif not self._inbox:
            self.connection.resume_reading()

    def _begin_work(self) -> None:
        """Carry out what waits, here and now as far as that goes, with the answers of each step in one write."""
        self._is_working = True
        self._worker = self._take_step(start_eagerly, self._work(), self._spawn_steps)

    def _spawn_steps(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._owner.runtime.spawn(InSteps(work, self._take_step))  # a write less (benchmarks: workers)

    def _take_step(self, step: Callable[..., Any], *given: Any) -> Any:
        if self.encoder.in_pieces:
            self._unwritten = []
        try:
            return step(*given)
        finally:
            self._write_out()
            self._unwritten = None

    async def _work(self) -> None:
        """Carry out what waits, for as long as the client takes the answers, and let others have their turn between."""
        inbox, clock = self._inbox, self._owner.runtime.clock
        since = clock()
        try:
            while inbox and self.state is not _CLOSED and not self.paused:
                command = inbox.popleft()
                try:
                    self._meter_command()
                    await self._owner.carry_out(self, command)
                except Exception as error:
                    self._tell(command, error)
                if inbox and clock() - since > WORK_SECONDS:
                    await asyncio.sleep(0)
                    since = clock()
        finally:
            self._worker = None
            self._is_working = False
            if not self._inbox:
                self._inbox = None
                if not self.paused and self.state is not _CLOSED:
                    self.connection.resume_reading()

    def _tell(self, command: Command | FaultyCommand, error: Exception) -> None:
        """Tell the client that a command was not carried out."""
        if isinstance(error, CommandRefused):
            if command.id:  # without one, as `send` has none, there is nothing to answer
                self._send(self.encoder.error(command.id, error.error))
        elif isinstance(error, Disconnected):
            self.disconnect(error.disconnect, error.detail)
        elif isinstance(error, BrokerError):
            log.error("command_failed", extra={"client": self.client, "error": str(error)})
            if command.id:
                self._send(self.encoder.error(command.id, INTERNAL))
        else:
            log.error("session_failed", extra={"client": self.client}, exc_info=error)
            self.disconnect(SERVER_ERROR)

    def _meter_command(self) -> None:
        runtime = self._owner.runtime
        if runtime.meter is None:
            return
        verdict, self._metered = runtime.meter.take(self._metered, runtime.clock())
        if verdict is _ACCEPT:
            return
        if verdict is Verdict.REFUSE:
            runtime.counters.commands_refused += 1
            raise CommandRefused(TOO_MANY_REQUESTS)
        raise Disconnected(TOO_MANY_COMMANDS)

    # What the client is sent

    def _send(self, data: bytes) -> None:
        """Write, behind what is still to be joined."""
        if self._unwritten:
            self._write_out()
        self.write(data)

    def _write_out(self) -> None:
        """Write what is still to be joined. Comes before anything is written past it."""
        unwritten = self._unwritten
        if unwritten:
            self._unwritten = []
            self.write(unwritten[0] if len(unwritten) == 1 else b"".join(unwritten))

    def reply(self, command_id: int, method: str, result: Result) -> int:
        """Answer a command that was carried out. Returns the bytes that took."""
        data = self.encoder.result(command_id, method, result)
        unwritten = self._unwritten
        if unwritten is None or method not in JOINED or len(data) > JOINED_BYTES:
            self._send(data)
        else:
            unwritten.append(data)
        return len(data)

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

    def rest(self) -> None:
        """Give back what an idle session does not need. The heartbeat calls this once per ping."""
        if not self._is_working and not self._inbox:
            self._metered = LONG_AGO
