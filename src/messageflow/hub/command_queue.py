"""The commands of one session, carried out in line: one after the other, in the order in which they came.

While one waits for the application or the broker those behind it wait, so at most one of a session is under way. What
waits is bounded, by a pause in reading; so is how many come in a second. The answers to what is carried out in one go
go out in one write.

A lagging session goes on being read, for its client may answer a ping or say goodbye. What it asks for waits until it
takes the answers, and only so much of it.

Never knows what a command does: `hub.commands` carries them out.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from messageflow.brokers.eager import InSteps, start_eagerly
from messageflow.core.codes import (
    INTERNAL,
    SERVER_ERROR,
    TOO_MANY_COMMANDS,
    TOO_MANY_REQUESTS,
    CommandRefused,
    Disconnect,
    Disconnected,
)
from messageflow.core.command_meter import Verdict
from messageflow.core.protocol import Command, FaultyCommand, Result
from messageflow.errors import BrokerError
from messageflow.hub.channel_members import Write
from messageflow.hub.connection import Connection
from messageflow.hub.runtime import NEVER
from messageflow.hub.session_owner import SessionOwner
from messageflow.hub.session_state import State
from messageflow.hub.subscription import SubscriptionHolder
from messageflow.hub.transport import FramedEncoder

log = logging.getLogger("messageflow.hub")

WORK_SECONDS = 0.002  # that one session's commands may hold the event loop
JOINED = frozenset(("connect", "subscribe"))  # whose answers share a write: a page that comes asks for many at once
JOINED_BYTES = 1024  # of one such answer; one that is longer has a write of its own
LAGGING_INBOX = 65_536  # bytes of commands that wait for a lagging session before reading from it pauses
LONG_AGO = -NEVER

# A member is looked up in an Enum as slowly as a function is called (benchmarks: connect).
_CLOSED, _ACCEPT = State.CLOSED, Verdict.ACCEPT


class Inbox(deque[Command | FaultyCommand]):
    """The commands that wait in one session.

    Attributes:
        size: bytes of the messages in which they came, since there was none.
        since: when the first of them came.
        full: whether nothing is read of the client until it is empty.
    """

    __slots__ = ("full", "since", "size")

    size: int
    since: float
    full: bool


class CommandQueue(SubscriptionHolder):
    """The part of a session that takes commands and answers them.

    It derives from what holds subscriptions since only one base of a class can have slots.

    Attributes:
        client: the id of the session.
        connection: is not read from while too much waits.
        encoder: makes the answers.
        paused: whether the client does not take what it is sent.
        state: how far the session has come.
        write: takes the answers.
    """

    __slots__ = (
        "_inbox",
        "_is_working",
        "_metered",
        "_owner",
        "_unwritten",
        "_worker",
        "client",
        "connection",
        "encoder",
        "paused",
        "state",
        "write",
    )

    client: str
    connection: Connection
    encoder: FramedEncoder
    paused: bool
    state: State
    write: Write
    _inbox: Inbox | None
    _is_working: bool
    _metered: float  # when it may send as many commands as ever
    _owner: SessionOwner[Any]
    _unwritten: list[bytes] | None  # answers that go into one write; None where each has its own
    _worker: asyncio.Task[None] | None  # none where the work has not had to wait

    def disconnect(self, disconnect: Disconnect, detail: str = "") -> None:
        """Tell the client why and end."""
        raise NotImplementedError

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
            inbox.full = False
        inbox.extend(commands)
        inbox.size += size
        if len(inbox) > self._owner.runtime.limits.inbox or (self.paused and inbox.size > LAGGING_INBOX):
            inbox.full = True
            self.connection.pause_reading()
        if not self._is_working and not self.paused:
            self._begin_work()

    @property
    def is_unread(self) -> bool:
        """Whether nothing is read of the client, not its pong either, until what it asked for is carried out."""
        return self._inbox is not None and self._inbox.full

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
        now = runtime.clock()
        if self._metered <= now:  # the first for a while, for which there is always room
            self._metered = now + runtime.meter.each
            return
        verdict, self._metered = runtime.meter.take(self._metered, now)
        if verdict is _ACCEPT:
            return
        if verdict is Verdict.REFUSE:
            runtime.counters.commands_refused += 1
            raise CommandRefused(TOO_MANY_REQUESTS)
        raise Disconnected(TOO_MANY_COMMANDS)

    # The answers

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

    def rest(self) -> None:
        """Give back what an idle session does not need. The heartbeat calls this once per ping."""
        if not self._is_working and not self._inbox:
            self._metered = LONG_AGO
