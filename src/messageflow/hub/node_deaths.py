"""What is told of the clients of a node that died, by one of those that live.

A node that can say goodbye tells the application of each end itself. For the others, each client is entered into a
channel of the gateway's own, and each node into another: presence is what every broker clears up after its nodes, and
announces. Those that live hear it, and the one whose name comes first tells the application, and then the others, that
it has: until then they keep what they heard, for that one may be dead too, and not be known to be.

A node that lives and hears that it is dead, as where it did not reach Redis for longer than its lease, has those
clients come back: the application was told that they are gone. While it does not know whether it was taken for dead,
as just after its process was stopped for a while, it withholds what it would tell of the ends of its own.

Owns what was heard and is not told yet. Never touches presence that clients see. A node alone, or an application that
does not want to know, enters nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

import msgspec

from messageflow.brokers.base import Broker
from messageflow.core.channels import CLIENTS, NODES
from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import SHUTDOWN, Disconnect
from messageflow.core.protocol import Joined, Left
from messageflow.errors import BrokerError
from messageflow.hub.hook_calls import END_OF_SESSION, HookCalls
from messageflow.hub.hooks import ClientView, DisconnectNotice
from messageflow.hub.occupancy import Occupancy
from messageflow.hub.presence_changes import PresenceChanges
from messageflow.hub.runtime import Runtime
from messageflow.hub.session import Session

GATHER = 0.2  # seconds in which what is heard of one death is gathered
RETRY = 1.0
LAST_WORDS = 1.0  # seconds for which a node that ends waits to know whether it was taken for dead
ENDED_FOR = 60.0  # seconds for which it is known of a client that others told of that it was of this node
AT_ONCE = 1_000  # ends that are told together: one by one each would wait for a batch of its own
LEFT_FOR = 120.0  # seconds for which what another is to tell is kept; by then it is known to have died, if it has
TOLD = b"told\n"  # what a control message of this module begins with
LOST = "the gateway node they were connected to is gone"


class DeathsTold(msgspec.Struct, frozen=True):
    """What a node says: of the ends of which clients, and the emptiness of which channels, the application was told."""

    clients: list[str] = []
    channels: list[str] = []


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeathsTold).decode


class WithheldEnd(NamedTuple):
    """The end of a session, see `NodeDeaths.note_end`."""

    session: Session
    was_in: bool
    why: Disconnect | None


class NodeDeaths:
    """The deaths of other nodes, as one hub sees them.

    Args:
        runtime: owns the tasks.
        broker: announces them.
        hooks: the application's.
        presence: enters clients, in order.
        occupancy: is told of dead nodes.
        sessions: of this node, by client.
        node: the name of this one.
        shared: whether there are other nodes.
    """

    def __init__(
        self,
        runtime: Runtime,
        broker: Broker,
        hooks: HookCalls,
        presence: PresenceChanges,
        occupancy: Occupancy,
        sessions: dict[str, Session],
        node: str,
        *,
        shared: bool,
    ) -> None:
        self._runtime = runtime
        self._broker = broker
        self._hooks = hooks
        self._presence = presence
        self._occupancy = occupancy
        self._sessions = sessions
        self._me = ClientInfo("", node)
        self._shared = shared
        self._entered: set[str] = set()  # clients
        self._told: set[str] = set()  # clients that are here still, and of which another node told the end
        self._withheld: dict[str, WithheldEnd] = {}  # ends of which another node may have told, by client
        self._ended: dict[str, float] = {}  # clients of this node that ended in such a time, and when
        self._ending = False
        self._heard: dict[str, ClientInfo] = {}
        self._dead: list[str] = []
        self._left: dict[str, tuple[float, ClientInfo]] = {}  # ends that another is to tell, and until when that counts
        self._left_channels: dict[str, float] = {}  # the same of channels
        self._inheriting = False
        self._begun = False

    @property
    def _is_wanted(self) -> bool:
        hooks = self._hooks
        return self._shared and (hooks.disconnect is not None or self._occupancy.is_wanted)

    async def begin(self) -> None:
        """Be one of those that hear of deaths, where the application wants to know.

        Raises:
            BrokerError: the broker failed.
        """
        if not self._is_wanted or self._begun:
            return
        self._begun = True
        try:
            await self._broker.subscribe(NODES)
            await self._broker.subscribe(CLIENTS)
            await self._broker.join(NODES, self._me, keep=True, tell=False)
        except BrokerError:
            self._begun = False  # whoever comes next tries again
            raise

    async def _begin_late(self) -> None:
        try:
            await self.begin()
        except BrokerError as error:
            self._runtime.log_limited(logging.WARNING, "deaths_not_told", error=str(error))

    async def end(self) -> None:
        """Be one of them no more, and be missed by nobody."""
        if self._begun:
            self._begun = False
            try:
                await self._broker.leave(NODES, self._me, tell=False)
            except BrokerError as error:
                self._runtime.log_limited(logging.WARNING, "node_not_signed_off", error=str(error))

    def note_client(self, session: Session) -> None:
        """A client of this node is in."""
        if self._shared and self._hooks.disconnect is not None and session.info is not None:
            if not self._begun:  # the handler was written since the start, as in a module that is imported late
                self._runtime.spawn(self._begin_late(), name="presence")
            self._entered.add(session.client)
            self._presence.update(CLIENTS, session.info)

    def note_end(self, session: Session, was_in: bool, why: Disconnect | None) -> None:
        """A session of this node has ended: tell the application, unless another node has, that took this one for dead.

        Args:
            session: which.
            was_in: whether it was connected.
            why: the server's decision, None where it made none.
        """
        client = session.client
        if client in self._entered and client not in self._told and self._broker.may_be_dead:
            if not self._withheld:
                self._runtime.spawn(self._tell_withheld(), name=END_OF_SESSION)
            self._withheld[client] = WithheldEnd(session, was_in, why)
            return
        self._hooks.note_end(session, was_in, why, told=self._forget_client(session))

    async def _tell_withheld(self) -> None:
        waited = 0.0
        while self._broker.may_be_dead and waited < LAST_WORDS:
            await asyncio.sleep(GATHER)
            waited += GATHER if self._ending else 0.0
        withheld, self._withheld = self._withheld, {}
        for client, end in withheld.items():
            self._remember_ended(client)
            # Where it is not known to the last, it stays in presence: whoever clears up after this node tells of it.
            told = self._broker.may_be_dead or self._forget_client(end.session)
            self._hooks.note_end(*end, told=told)

    def _remember_ended(self, client: str) -> None:
        now = self._runtime.clock()
        while self._ended and next(iter(self._ended.values())) < now - ENDED_FOR:
            del self._ended[next(iter(self._ended))]
        self._ended[client] = now

    def hurry(self) -> None:
        """The hub ends: what cannot be known is not waited for."""
        self._ending = True

    def _forget_client(self, session: Session) -> bool:
        """Take a client out. Returns whether another node told of it."""
        client = session.client
        if client in self._entered and session.info is not None:
            self._entered.discard(client)
            self._presence.leave(CLIENTS, session.info, tell=False)
        if client not in self._told:
            return False
        self._told.discard(client)
        self._remember_ended(client)
        return True

    def receive(self, channel: str, push: Joined | Left) -> None:
        """Hear that a node, or a client of a node that is gone, was cleared up after."""
        if isinstance(push, Joined):
            return
        client = push.info.client
        if client == self._me.client:
            self._occupancy.revive()
        elif channel == NODES:
            self._dead.append(client)
        elif client in self._sessions:
            self._told.add(client)
            self._sessions[client].disconnect(SHUTDOWN, "taken for dead: the application was told that it is gone")
        elif client in self._withheld:
            self._told.add(client)
        elif client not in self._ended:
            self._heard[client] = push.info
        if not self._inheriting and (self._heard or self._dead):
            self._inheriting = True
            self._runtime.spawn(self._inherit(), name=END_OF_SESSION)

    async def _inherit(self) -> None:
        try:
            await asyncio.sleep(GATHER)
            first = await self._is_first()
        finally:
            self._inheriting = False
            heard, self._heard = self._heard, {}
            dead, self._dead = self._dead, []
        vacated = [channel for node in dead for channel in self._occupancy.bury(node)]
        if not first:
            until = self._runtime.clock() + LEFT_FOR
            self._left |= {client: (until, info) for client, info in heard.items()}
            self._left_channels |= dict.fromkeys(vacated, until)
            return
        if dead:  # whoever was to tell may be among them
            heard, vacated = self._take_left(heard, vacated)
        self._occupancy.tell_vacated(vacated)
        await self._say_told([], vacated)
        infos = list(heard.values())
        for begin in range(0, len(infos), AT_ONCE):
            part = infos[begin : begin + AT_ONCE]
            await asyncio.gather(*map(self._tell_end, part))
            await self._say_told([info.client for info in part], [])

    def _take_left(self, heard: dict[str, ClientInfo], vacated: list[str]) -> tuple[dict[str, ClientInfo], list[str]]:
        """Return what was heard, with what was left to others before and not told as far as this node knows."""
        now = self._runtime.clock()
        left, self._left = self._left, {}
        channels, self._left_channels = self._left_channels, {}
        heard = {client: info for client, (until, info) in left.items() if until > now} | heard
        return heard, list(dict.fromkeys([*(each for each, until in channels.items() if until > now), *vacated]))

    async def _say_told(self, clients: list[str], channels: list[str]) -> None:
        if not (clients or channels):
            return
        try:
            await self._broker.send_control(TOLD + _encode(DeathsTold(clients, channels)))
        except BrokerError as error:
            self._runtime.log_limited(logging.WARNING, "deaths_not_told", error=str(error))

    def hear_told(self, message: bytes) -> None:
        """Another node says of what it has told the application."""
        told = _decode(message[len(TOLD) :])
        for client in told.clients:
            self._left.pop(client, None)
            self._heard.pop(client, None)
        for channel in told.channels:
            self._left_channels.pop(channel, None)

    async def _tell_end(self, info: ClientInfo) -> None:
        if self._hooks.disconnect is not None:
            shown = b"" if info.conn_info is msgspec.UNSET else bytes(info.conn_info)
            view = ClientView(info.user, info.client, "", shown)
            await self._hooks.disconnect.tell(DisconnectNotice(view, 0, LOST))

    async def _is_first(self) -> bool:
        """Whether it is for this node to tell: no other that lives has a name that comes before."""
        while True:
            try:
                return min(await self._broker.read_presence(NODES), default=self._me.client) >= self._me.client
            except BrokerError as error:
                self._runtime.log_limited(logging.WARNING, "deaths_not_told", error=str(error))
                if self._ending:
                    return False
                await asyncio.sleep(RETRY)
