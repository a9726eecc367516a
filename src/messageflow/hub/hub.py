"""The hub: the sessions of one worker, and its life from the start of the broker to the last goodbye.

Puts the parts together, each with what it needs of the others; is what sessions belong to and where the broker
delivers. Owns who is connected. How publications reach connections is `hub.fan_out`'s.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from binascii import b2a_base64
from collections.abc import Awaitable, Callable
from functools import partial
from os import urandom
from typing import Any

from messageflow.brokers.base import Broker
from messageflow.core.channels import DEATHS, REVOKED
from messageflow.core.codes import SHUTDOWN, Disconnect
from messageflow.core.namespaces import Namespaces
from messageflow.core.protocol import Command, FaultyCommand, Joined, Left
from messageflow.core.stream import Publication
from messageflow.core.token_verifier import Verifier
from messageflow.dialects.base import Dialect
from messageflow.hub.backlog import Backlogs
from messageflow.hub.channel import Channel, Received
from messageflow.hub.channel_registry import ChannelRegistry
from messageflow.hub.commands import carry_out
from messageflow.hub.commands.rights import withdraw
from messageflow.hub.commands.send import HANDLED_ONCE
from messageflow.hub.connected_users import ConnectedUsers
from messageflow.hub.connection import Connection
from messageflow.hub.connections_per_user import ConnectionsPerUser
from messageflow.hub.control_handler import ControlHandler
from messageflow.hub.fan_out import FanOut
from messageflow.hub.gap_repair import GapRepair
from messageflow.hub.heartbeat import Heartbeat, tick_length
from messageflow.hub.history_reader import HistoryReader
from messageflow.hub.hook_calls import END_OF_SESSION, HookCalls
from messageflow.hub.hooks import OUTLIVING, Hooks, name_task
from messageflow.hub.lagging_sessions import LaggingSessions
from messageflow.hub.limits import Limits
from messageflow.hub.node_deaths import TOLD, NodeDeaths
from messageflow.hub.occupancy import QUESTION as OCCUPANCY
from messageflow.hub.occupancy import SAID, Occupancy
from messageflow.hub.presence_changes import PresenceChanges
from messageflow.hub.publish_delay import PublishDelay
from messageflow.hub.reader_probes import ReadProbes
from messageflow.hub.recovery_rate_limiter import REPLY_TURNS, RecoveryRateLimiter
from messageflow.hub.revocation_list import RevocationList
from messageflow.hub.runtime import Runtime
from messageflow.hub.services import Services
from messageflow.hub.session import Session
from messageflow.hub.stalled_sessions import StalledSessions
from messageflow.hub.unauthenticated import Unauthenticated

log = logging.getLogger("messageflow.hub")

TO_URL = bytes.maketrans(b"+/", b"-_")
NO_HOOKS = Hooks()
_PENDING = Received.PENDING  # looked up in an Enum as slowly as a function is called (benchmarks: push)
LOOK_AGAIN = 0.2  # seconds after which the end of the hub looks whether a hook was given up
# Names of tasks that tell others of the end, or go on to it; each ends by itself.
OUTLIVE_SESSIONS = {
    "presence",
    HANDLED_ONCE,
    END_OF_SESSION,
    *map(name_task, OUTLIVING),
}


class Hub:
    """The registry of one worker, and the sink of its broker.

    Args:
        broker: what carries and keeps publications; the hub starts and closes it.
        namespaces: the options of every channel.
        verifier: decides which tokens are believed.
        limits: what a client may cost.
        hooks: what the application decides.
        name: this worker's name, unique among all; shown in presence and `info`.
        shared: whether other nodes may use the same broker.
        clock: monotonic seconds.
        wall: seconds since 1970, for the dates in tokens alone.

    Attributes:
        answers: to questions of other workers, by their name.
        goodbye: what those who are here at the end are told.
    """

    def __init__(
        self,
        broker: Broker,
        namespaces: Namespaces,
        verifier: Verifier,
        limits: Limits | None = None,
        *,
        hooks: Hooks = NO_HOOKS,
        name: str = "",
        shared: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.broker, self.namespaces, self.verifier = broker, namespaces, verifier
        self.name = name or secrets.token_urlsafe(8)
        self.runtime = runtime = Runtime(limits or Limits(), clock, wall)
        self.limits, self.counters = runtime.limits, runtime.counters
        self.answers: dict[bytes, Callable[[bytes], bytes]] = {}
        self.channels: dict[str, Channel] = {}
        self.sessions: dict[str, Session] = {}
        self.users = ConnectedUsers()
        self.unauthenticated = Unauthenticated(
            self.limits.heartbeat.connect_timeout, self.limits.unauthenticated_per_address
        )
        self.connecting = 0
        self.draining = False
        self.goodbye = SHUTDOWN
        self.read_probes = ReadProbes(runtime)
        self.fan_out = FanOut(runtime, self.read_probes, from_afar=shared)
        self.hooks = HookCalls(runtime, hooks)
        self.presence = PresenceChanges(runtime, broker)
        self.history_reader = HistoryReader(runtime, broker)
        self.gap_repair = GapRepair(runtime, self.channels, self.history_reader, self.fan_out)
        self.revocation_list = RevocationList(runtime, broker, self.users, verifier.lifetime_limit, self._withdraw)
        self.connections_per_user = ConnectionsPerUser(runtime, self.users)
        self._make_room_for_slow_readers()
        self.occupancy = Occupancy(runtime, broker, self.hooks, self.name, shared=shared)
        self.answers[OCCUPANCY] = self.occupancy.answer
        self.node_deaths = NodeDeaths(
            runtime, broker, self.hooks, self.presence, self.occupancy, self.sessions, self.name, shared=shared
        )
        self._channels = ChannelRegistry(
            self.channels, broker, self.fan_out, self.gap_repair, self.presence, self.occupancy, self.hooks
        )
        self._services = self._assemble()
        self.carry_out: Callable[[Session, Command | FaultyCommand], Awaitable[None]] = partial(
            carry_out, self._services
        )
        self.control = ControlHandler(self._services, self.users)

    def _make_room_for_slow_readers(self) -> None:
        runtime, length, rate = self.runtime, tick_length(self.limits.heartbeat), self.limits.history.recovery_rate
        self.recovery_limiter = RecoveryRateLimiter(rate, runtime.clock)
        self.reply_limiter = RecoveryRateLimiter(rate, runtime.clock, turns=REPLY_TURNS)
        self.backlogs = Backlogs(self.limits.buffer_memory, length, runtime.clock)
        self.stalled = StalledSessions(runtime, self.backlogs, self.read_probes, length)
        self.publish_delay = PublishDelay(runtime, self.channels, self.backlogs, self.read_probes)
        self.lagging = LaggingSessions(
            runtime, self.backlogs, self.history_reader, self.recovery_limiter, self.gap_repair
        )
        self.heartbeat = Heartbeat(runtime, self.unauthenticated, self.stalled, self._tick)

    def _assemble(self) -> Services:
        return Services(
            runtime=self.runtime,
            broker=self.broker,
            namespaces=self.namespaces,
            verifier=self.verifier,
            sessions=self,
            channels=self._channels,
            presence=self.presence,
            history_reader=self.history_reader,
            lagging=self.lagging,
            recovery_limiter=self.recovery_limiter,
            reply_limiter=self.reply_limiter,
            publish_delay=self.publish_delay,
            read_probes=self.read_probes,
            heartbeat=self.heartbeat,
            connections_per_user=self.connections_per_user,
            revocation_list=self.revocation_list,
            hooks=self.hooks,
        )

    def _withdraw(self, session: Session, pattern: str, before: float) -> None:
        withdraw(self._services, session, pattern, before)

    # Life

    async def start(self) -> None:
        """Start the broker and the heartbeat.

        Raises:
            BrokerError: the broker failed.
        """
        self.fan_out.start()
        await self.broker.start(self)
        try:
            await self.revocation_list.start()
            await self.node_deaths.begin()
        except BaseException:
            await self.broker.close()
            raise
        self.runtime.spawn(self.heartbeat.run())

    async def close(self) -> None:
        """Send every client away, end every task, close the broker."""
        self.draining = True
        self.node_deaths.hurry()
        self.fan_out.flush()
        for session in (*self.sessions.values(), *self.unauthenticated):
            session.disconnect(self.goodbye)
        await asyncio.sleep(0)  # the releases above spawned their leaves; let them begin
        await self._end_tasks()
        await self.occupancy.settle()
        await self._end_tasks()  # what those who told of the end began
        await self.node_deaths.end()
        await self.broker.close()

    async def _end_tasks(self) -> None:
        """End every task. That of a hook which takes no cancellation is given up in time, and then not among them."""
        told: set[asyncio.Task[Any]] = set()
        while tasks := self.runtime.tasks - {asyncio.current_task()}:
            for task in tasks - told:
                if task.get_name() not in OUTLIVE_SESSIONS:
                    task.cancel()
                    told.add(task)
            await asyncio.wait(tasks, timeout=LOOK_AGAIN)

    def log_limited(self, level: int, event: str, **fields: object) -> None:
        """Log an event that a client can cause, within a rate."""
        self.runtime.log_limited(level, event, **fields)

    def _tick(self, now: float) -> None:
        self.connections_per_user.tick(now)
        self.backlogs.tick()
        self.history_reader.chunks.clear()
        self.stalled.tick()
        self.read_probes.tick()

    # Who is connected

    def accept(self, connection: Connection, dialect: Dialect) -> Session | None:
        """Begin a session for a connection that is up, or None when its address has too many that are not yet in."""
        session = Session(self, connection, dialect, make_client_id())
        return session if self.unauthenticated.add(session, self.runtime.clock()) else None

    def admit(self, session: Session) -> None:
        """A session has proved who it is."""
        self.unauthenticated.discard(session)
        self.sessions[session.client] = session
        if session.user:
            self.users.add(session)
        self.heartbeat.add(session)
        if self.hooks.any:
            self.node_deaths.note_client(session)

    def complete_connect(self, session: Session) -> None:
        """A session has the answer to its connect command: carry out what was decided about it meanwhile, in order."""
        if self.control.deferred:
            self.control.apply_deferred(session)

    def remove(self, session: Session, why: Disconnect | None) -> None:
        """A session has ended, by decision of the server where it says `why`: take it out of everything, now."""
        self.stalled.discard(session)
        was_in = self.sessions.pop(session.client, None) is not None
        if was_in:
            if self.control.deferred:
                self.control.forget(session)
            self.heartbeat.discard(session)
            if session.user:
                self.users.discard(session)
                self.connections_per_user.note_heard(session)
        else:
            self.unauthenticated.discard(session)
        if self.hooks.any:
            self.node_deaths.note_end(session, was_in, why)
        self._channels.leave_all(session)

    # What sessions need

    def note_heard(self, session: Session) -> None:
        """A session has answered a ping."""
        self.connections_per_user.note_heard(session)

    def note_read(self, session: Session) -> None:
        """A session has read as far as it was asked."""
        self.read_probes.note_read(session)

    def pause(self, session: Session) -> None:
        """The transport of a session is full."""
        if not session.closed:
            self.stalled.add(session)
            self.lagging.pause(session)

    def resume(self, session: Session) -> None:
        """It has room again."""
        if session.paused and not session.closed:
            self.connections_per_user.note_heard(session)
            self.lagging.resume(session)

    def leave(self, session: Session, name: str) -> None:
        """Take a session out of a channel; one that is not in it is no error."""
        self._channels.leave(session, name)

    # What the broker delivers

    def on_publication(self, channel: str, epoch: str, publication: Publication) -> None:
        found = self.channels.get(channel)
        if found is None:
            if channel == REVOKED:
                self.revocation_list.receive(epoch, publication)
            return
        self.counters.publications += 1
        received = found.receive(epoch, publication)
        if received is _PENDING:
            self.fan_out.mark(found)
        elif received is Received.STALE:
            self.counters.stale_publications += 1
        elif received is Received.GAP:
            self.gap_repair.report_gap(found)
        elif received is Received.FOREIGN:
            self.gap_repair.send_away(found, "the stream is another one now")

    def on_presence(self, channel: str, push: Joined | Left) -> None:
        found = self.channels.get(channel)
        if found is None:
            if channel in DEATHS:
                self.node_deaths.receive(channel, push)
        elif found.receive_presence(push):
            self.fan_out.mark(found)

    def on_control(self, message: bytes) -> None:
        try:
            if message.startswith(SAID):
                self.occupancy.receive(message)
            elif message.startswith(TOLD):
                self.node_deaths.hear_told(message)
            else:
                self.control.apply(message)
        except Exception:
            log.exception("control_failed")

    def on_question(self, question: bytes) -> bytes:
        name, _, rest = question.partition(b"\n")
        answer = self.answers.get(name)
        return b"" if answer is None else answer(rest)

    def on_doubt(self) -> None:
        self.gap_repair.look_at_all()
        self.revocation_list.read_again()
        self.occupancy.doubt()


def make_client_id() -> str:
    """Return 128 random bits as `secrets.token_urlsafe` writes them, which makes five calls (benchmarks: connect)."""
    return b2a_base64(urandom(16)).translate(TO_URL)[:22].decode()
