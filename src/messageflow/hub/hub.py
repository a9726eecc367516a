"""The hub: the sessions and channels of one worker, and the fan-out from publications to connections.

A publication marks its channel dirty. A few turns of the event loop later the dirty channels are flushed, so that
under light load a publication leaves at once, and under heavy load batches form by themselves. A turn makes at most
`TURN_WRITES` writes; what remains waits for the next, and the loop serves everything else in between.

Fan-out is synchronous, never awaits and never raises.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from messageflow.brokers.base import Broker
from messageflow.core.channels import REVOKED, NamespaceOptions, Namespaces
from messageflow.core.codes import SHUTDOWN, Unsubscribe
from messageflow.core.control import Control
from messageflow.core.protocol import Command, FaultyCommand, Joined, Left, Unsubscribed
from messageflow.core.stream import Position, Publication
from messageflow.core.tokens import Verifier
from messageflow.dialects.base import Dialect
from messageflow.errors import BrokerError
from messageflow.hub import catch_up
from messageflow.hub.back_pressure import BackPressure
from messageflow.hub.backlog import Backlogs
from messageflow.hub.channel import Channel, Received
from messageflow.hub.commands import carry_out
from messageflow.hub.congestion import Congestion
from messageflow.hub.connection import Connection
from messageflow.hub.control_handler import apply_control, apply_to
from messageflow.hub.counters import Counters
from messageflow.hub.gap_repair import GapRepair
from messageflow.hub.heartbeat import Heartbeat
from messageflow.hub.history_reader import Chunks, HistoryReader
from messageflow.hub.limits import Limits
from messageflow.hub.presence_changes import PresenceChanges
from messageflow.hub.rate_limited_log import RateLimitedLog
from messageflow.hub.recovery_rate_limiter import REPLY_TURNS, RecoveryRateLimiter
from messageflow.hub.revocation_list import RevocationList
from messageflow.hub.session import NEVER, Session
from messageflow.hub.unauthenticated import Unauthenticated
from messageflow.hub.user_cap import UserCap

log = logging.getLogger("messageflow.hub")

T = TypeVar("T")

REFRESH_MARGIN = 30.0  # seconds before the end at which a client should refresh, or a quarter of what is left
GATHER_TURNS = 3  # turns of the event loop: a request is read, run and published within that many
TURN_WRITES = 1000  # about 5 ms of writing; 1,000 keeps p99 of other work low at no cost in throughput


class Hub:
    """The registry of one worker, and the sink of its broker.

    Args:
        broker: what carries and keeps publications; the hub starts and closes it.
        namespaces: the options of every channel.
        verifier: decides which tokens are believed.
        limits: what a client may cost.
        name: this worker's name, unique among all; shown in presence and `info`.
        clock: monotonic seconds.
        wall: seconds since 1970, for the dates in tokens alone.
    """

    def __init__(
        self,
        broker: Broker,
        namespaces: Namespaces,
        verifier: Verifier,
        limits: Limits | None = None,
        *,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.broker = broker
        self.namespaces = namespaces
        self.verifier = verifier
        self.limits = limits or Limits()
        self.burst, self.commands_in_frame = self.limits.burst, self.limits.commands_in_frame  # asked at each connect
        self.carry_out: Callable[[Session, Command | FaultyCommand], Awaitable[None]] = carry_out
        self.name = name or secrets.token_urlsafe(8)
        self.clock = clock
        self.wall = wall
        self.counters = Counters()
        self.answers: dict[bytes, Callable[[bytes], bytes]] = {}  # to questions of other workers, by their name
        self.channels: dict[str, Channel] = {}
        self.sessions: dict[str, Session] = {}
        self.users: dict[str, tuple[Session, ...]] = {}
        self.unauthenticated = Unauthenticated(self.limits.connect_timeout, self.limits.unauthenticated_per_address)
        self.heartbeat = Heartbeat(self, self.limits)
        self.recovery_limiter = RecoveryRateLimiter(self.limits.recovery_rate, clock)
        self.reply_limiter = RecoveryRateLimiter(self.limits.recovery_rate, clock, turns=REPLY_TURNS)
        self.history_reader = HistoryReader(self)
        self.chunks = Chunks()
        self.congestion = Congestion(self)
        self.backlogs = Backlogs(self.limits.buffer_memory, self.heartbeat.tick_length, clock)
        self.back_pressure = BackPressure(self, self.limits.buffer_memory, self.heartbeat.tick_length)
        self.gap_repair = GapRepair(self)
        self.revocation_list = RevocationList(self)
        self.presence = PresenceChanges(self)
        self.user_cap = UserCap(self, self.limits.connections_per_user)
        self.connecting = 0  # sessions whose connect command is being carried out
        self.controls: deque[tuple[Session, Control]] = deque()  # decisions about many sessions, to be carried out
        self.deferred: dict[Session, list[Control]] = {}  # decisions about those, for when they have their answer
        self.draining = False
        self.goodbye = SHUTDOWN  # what those who are here at the end are told
        self._dirty: deque[Channel] = deque()
        self._flushing = False
        self._turn: asyncio.Future[None] | None = None  # for those who wait for the next turn of flushing
        self._tasks: set[asyncio.Task[Any]] = set()
        self._log = RateLimitedLog(log, clock)

    # Life

    async def start(self) -> None:
        """Start the broker and the heartbeat.

        Raises:
            BrokerError: the broker failed.
        """
        self._loop = asyncio.get_running_loop()
        await self.broker.start(self)
        try:
            await self.revocation_list.start()
        except BaseException:
            await self.broker.close()
            raise
        self.spawn(self.heartbeat.run())

    async def close(self) -> None:
        """Send every client away, end every task, close the broker."""
        self.draining = True
        self.flush()
        for session in (*self.sessions.values(), *self.unauthenticated):
            session.disconnect(self.goodbye)
        await asyncio.sleep(0)  # the releases above spawned their leaves; let them begin
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        for task in tasks:
            if task.get_name() != "presence":
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.broker.close()

    def spawn(self, work: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
        """Run a task that belongs to the hub and ends with it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", exc_info=error, extra={"task": task.get_name()})

    def log_limited(self, level: int, event: str, **fields: object) -> None:
        """Log an event that a client can cause, within a rate."""
        self.counters.logs_suppressed += not self._log(level, event, fields)

    # Time

    def deadline(self, date: float | None) -> float:
        """Return a date of a token, None for never, as a time of the hub's clock, which no wall clock step moves."""
        return NEVER if date is None else self.clock() + date - self.wall()

    def time_to_refresh(self, deadline: float) -> int:
        """Return the seconds after which a client should refresh, to be in time for `deadline`."""
        left = deadline - self.clock()
        return max(1, int(left - min(REFRESH_MARGIN, left / 4)))

    # Sessions

    def accept(self, connection: Connection, dialect: Dialect) -> Session | None:
        """Begin a session for a connection that is up, or None when its address has too many that are not yet in."""
        session = Session(self, connection, dialect, secrets.token_urlsafe(16))
        return session if self.unauthenticated.add(session, self.clock()) else None

    def admit(self, session: Session) -> None:
        """A session has proved who it is."""
        self.unauthenticated.discard(session)
        self.sessions[session.client] = session
        if session.user:
            self.users[session.user] = (*self.users.get(session.user, ()), session)
        self.heartbeat.add(session)

    def pause(self, session: Session) -> None:
        """The transport of a session is full."""
        catch_up.pause(session)

    def resume(self, session: Session) -> None:
        """It has room again."""
        catch_up.resume(session)

    def connected(self, session: Session) -> None:
        """A session has the answer to its connect command: carry out what was decided about it meanwhile, in order."""
        for control in self.deferred.pop(session, ()):
            apply_to(session, control)

    def remove(self, session: Session) -> None:
        """A session has ended: take it out of everything, now."""
        self.deferred.pop(session, None)
        self.unauthenticated.discard(session)
        self.heartbeat.discard(session)
        self.back_pressure.discard(session)
        if self.sessions.pop(session.client, None) is not None and session.user:
            all_ = self.users.get(session.user, ())
            index = all_.index(session)
            if others := all_[:index] + all_[index + 1 :]:
                self.users[session.user] = others
            else:
                self.users.pop(session.user, None)
            self.user_cap.heard(session)
        for name in tuple(session.subscriptions):
            self.leave(session, name)

    def matching(self, user: str, client: str = "") -> Iterator[Session]:
        """Yield the sessions of a user, only the one named where `client` is given."""
        for session in self.users.get(user, ()):
            if not client or session.client == client:
                yield session

    # Channels

    def enter(self, name: str, options: NamespaceOptions) -> Channel:
        """Return the channel for a session on its way in; `entered` ends the way."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name, options)
        channel.enter()
        return channel

    async def open(self, channel: Channel) -> None:
        """Return once the broker delivers the channel. The first to come asks it, and the next where the first left.

        Raises:
            BrokerError: it failed, and fails for all who waited: one after the other would wait as long again.
        """
        while not channel.opened:
            if channel.opening is not None:
                failed = await asyncio.shield(channel.opening)
                if failed is not None:
                    raise BrokerError(str(failed)) from failed
                continue
            channel.opening = opening = asyncio.get_running_loop().create_future()
            failure: BrokerError | None = None
            try:
                await self.broker.subscribe(channel.name)
                channel.opened = True
            except BrokerError as error:
                failure = error
                raise
            finally:
                channel.opening = None
                opening.set_result(failure)

    def anchor(self, channel: Channel, position: Position) -> None:
        """Say where the stream of a channel stands, when that was not known yet."""
        received = channel.anchor(position)
        if channel.dirty:
            self.mark(channel)
        if received is Received.GAP:
            self.gap_repair.gap(channel)
        elif received is Received.FOREIGN or channel.doubted:
            self.gap_repair.look_at(channel)
        channel.doubted = False

    def entered(self, channel: Channel) -> None:
        """A session is in the channel, or will not come."""
        channel.entered()
        self._drop_if_abandoned(channel)

    def leave(self, session: Session, name: str) -> None:
        """Take a session out of a channel; one that is not in it is no error."""
        subscription = session.subscriptions.pop(name, None)
        if subscription is None:
            return
        channel = subscription.channel
        channel.leave(session)
        self._drop_if_abandoned(channel)
        if subscription.info is not None:
            self.presence.leave(name, subscription.info, tell=subscription.tell)

    def _drop_if_abandoned(self, channel: Channel) -> None:
        if channel.abandoned and self.channels.get(channel.name) is channel:
            del self.channels[channel.name]
            self.broker.unsubscribe(channel.name)

    def unsubscribe(self, session: Session, name: str, why: Unsubscribe) -> None:
        """End a subscription by the server's decision and tell the client."""
        if name in session.subscriptions:
            self.leave(session, name)
            session.push(name, Unsubscribed(why.code, why.reason))

    # What the broker delivers

    def on_publication(self, channel: str, epoch: str, publication: Publication) -> None:
        found = self.channels.get(channel)
        if found is None:
            if channel == REVOKED:
                self.revocation_list.receive(epoch, publication)
            return
        self.counters.publications += 1
        received = found.receive(epoch, publication)
        if received is Received.PENDING:
            self.mark(found)
        elif received is Received.STALE:
            self.counters.stale_publications += 1
        elif received is Received.GAP:
            self.gap_repair.gap(found)
        elif received is Received.FOREIGN:
            self.gap_repair.send_away(found, "the stream is another one now")

    def on_presence(self, channel: str, push: Joined | Left) -> None:
        found = self.channels.get(channel)
        if found is not None and found.receive_presence(push):
            self.mark(found)

    def on_control(self, message: bytes) -> None:
        try:
            apply_control(self, message)
        except Exception:
            log.exception("control_failed")

    def on_question(self, question: bytes) -> bytes:
        name, _, rest = question.partition(b"\n")
        answer = self.answers.get(name)
        return b"" if answer is None else answer(rest)

    def on_doubt(self) -> None:
        self.gap_repair.doubt()
        self.revocation_list.doubt()

    # Fan-out

    def mark(self, channel: Channel) -> None:
        """There is something to write to the sessions of a channel."""
        if not channel.marked:
            channel.marked = True
            self._dirty.append(channel)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._gather, GATHER_TURNS)

    def _gather(self, turns: int) -> None:
        """Let requests that are already on their way publish too, before a flush that takes the loop for a while.

        When nothing else happens a turn takes microseconds; under load the batches grow from 10 to 30 publications
        and deliveries a second double (benchmarks: burst).
        """
        if turns:
            self._loop.call_soon(self._gather, turns - 1)
        else:
            self._flush()

    def flush(self) -> None:
        """Write everything that is pending, now, however much it is."""
        while self._dirty:
            self._flush()

    async def flushed(self) -> None:
        """Return after the next turn of flushing. Only for those who know that something is dirty."""
        if self._turn is None:
            self._turn = self._loop.create_future()
        await asyncio.shield(self._turn)

    def _flush(self) -> None:
        dirty, budget = self._dirty, TURN_WRITES
        while dirty and budget > 0:
            channel = dirty.popleft()
            channel.marked = False
            try:
                written = channel.flush(budget)
            except Exception:
                log.exception("flush_failed", extra={"channel": channel.name})
                continue
            budget -= written or 1
            self.counters.deliveries += written
            if channel.dirty:
                channel.marked = True
                dirty.append(channel)
        if dirty:
            self._loop.call_soon(self._flush)
        else:
            self._flushing = False
        if self._turn is not None:
            self._turn.set_result(None)
            self._turn = None
