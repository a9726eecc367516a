"""Which channels have subscribers, on all nodes, for an application that wants to know when they come and go.

Each node says into which channels its first subscriber came and from which its last one went. All nodes hear that in
one order, so all know who was first over all, and who last; that node tells its application, so that each change is
told once. A node alone need not say it to anybody.

What is told of one channel is told in order: while the application takes one change, the next waits, and two that undo
one another are not told. Owns the table of all nodes' channels and the tasks that say and tell. Never decides who may
come in. Without a hook for it, nothing is kept and nothing said.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec
from msgspec import Struct

from messageflow.brokers.base import NodeMessages
from messageflow.core.channels import owned_by_server
from messageflow.errors import BrokerError
from messageflow.hub.hook_calls import END_OF_SESSION, HookCalls
from messageflow.hub.hooks import ChannelNotice
from messageflow.hub.runtime import Runtime

SAID = b"occupancy\n"  # what a control message of this module begins with
QUESTION = b"occupancy"
RETRY = 1.0  # seconds after which what could not be said is said again
LAST_WORDS = 1.0  # seconds for which a node that ends waits to hear itself


class Changes(Struct, frozen=True):
    """What a node says: into which channels somebody came, and from which the last one went."""

    node: str
    came: list[str] = []
    went: list[str] = []


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Changes).decode


class Occupancy:
    """The channels of one hub, and of all nodes.

    Args:
        runtime: owns the tasks.
        broker: carries what nodes say.
        hooks: the application's.
        node: the name of this one.
        shared: whether there are other nodes.
    """

    def __init__(self, runtime: Runtime, broker: NodeMessages, hooks: HookCalls, node: str, *, shared: bool) -> None:
        self._runtime = runtime
        self._broker = broker
        self._hooks = hooks
        self._node = node
        self._shared = shared
        self._here: set[str] = set()
        self._said: set[str] = set()  # what other nodes believe to be here
        self._unsaid: dict[str, None] = {}  # channels of which they may believe otherwise, in order
        self._saying: asyncio.Task[None] | None = None
        self._heard: set[str] = set()  # what this node has heard itself say
        self._settled = asyncio.Event()
        self._ending = False
        self._holders: dict[str, set[str]] = {}  # nodes with subscribers, by channel; empty until all were asked
        self._waiting: list[Changes] | None = None  # what was heard while all are being asked
        self._knows_all = False
        self._untold: dict[str, bool] = {}  # the change of each channel that the application is to be told next
        self._telling: set[str] = set()

    @property
    def is_wanted(self) -> bool:
        """Whether the application wants to know."""
        return self._hooks.occupied is not None or self._hooks.vacated is not None

    # What happens here

    def note(self, channel: str, *, occupied: bool) -> None:
        """The first subscriber of this node came to a channel, or its last one went."""
        if owned_by_server(channel) or occupied == (channel in self._here):
            return
        if occupied:
            self._here.add(channel)
        else:
            self._here.discard(channel)
        if not self._shared:
            self._tell(channel, occupied=occupied)
            return
        self._say_soon(channel)

    def _say_soon(self, *channels: str) -> None:
        self._unsaid |= dict.fromkeys(channels)
        if self._saying is None:
            self._saying = self._runtime.spawn(self._say_all(), name=END_OF_SESSION)

    async def _say_all(self) -> None:
        """Say what is unsaid, all of it together, until there is no more."""
        try:
            while self._unsaid:
                try:
                    if not self._knows_all:
                        await self.ask_all()
                    await self._say()
                except BrokerError as error:
                    self._runtime.log_limited(logging.WARNING, "occupancy_not_told", error=str(error))
                    if self._ending:
                        return
                    await asyncio.sleep(RETRY)
        finally:
            self._saying = None

    async def _say(self) -> None:
        channels = list(self._unsaid)
        came = [each for each in channels if each in self._here and each not in self._said]
        went = [each for each in channels if each not in self._here and each in self._said]
        for channel in channels:
            del self._unsaid[channel]
        if not (came or went):
            return
        try:
            await self._broker.send_control(SAID + _encode(Changes(self._node, came, went)))
        except BaseException:
            self._unsaid = dict.fromkeys(channels) | self._unsaid
            raise
        self._said = self._said.difference(went).union(came)

    async def settle(self) -> None:
        """Return once this node has heard all that it said, or will not."""
        self._ending = True
        if not self._shared or not (self._unsaid or self._said != self._heard):
            return
        try:
            async with asyncio.timeout(LAST_WORDS):
                while self._unsaid or self._said != self._heard:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return

    # What other nodes say

    def answer(self, rest: bytes) -> bytes:
        """Return which channels have subscribers here, as other nodes believe."""
        return QUESTION + b"\n" + _encode(Changes(self._node, sorted(self._said)))

    async def ask_all(self) -> None:
        """Learn from all nodes which channels they have; what is said meanwhile counts on top.

        Raises:
            BrokerError: they cannot be asked.
        """
        self._waiting = self._waiting or []
        try:
            answers = await self._broker.survey(QUESTION + b"\n")
            self._holders = {}
            for answer in answers:
                name, _, rest = answer.partition(b"\n")
                if name == QUESTION and (changes := _decode(rest)).node != self._node:
                    self._add(changes.node, changes.came)
            self._add(self._node, sorted(self._heard))
            self._knows_all = True
        finally:
            heard, self._waiting = self._waiting, None
            for changes in heard:
                self._apply(changes)

    def receive(self, message: bytes) -> None:
        """Hear what a node says, this one included."""
        changes = _decode(message[len(SAID) :])
        if self._waiting is not None:
            self._waiting.append(changes)
        elif self._knows_all:
            self._apply(changes)
        elif changes.node == self._node:  # in doubt since it was said: all are asked what came before
            self._waiting = [changes]
            self._runtime.spawn(self._ask_again(), name=END_OF_SESSION)

    async def _ask_again(self) -> None:
        try:
            await self.ask_all()
        except BrokerError as error:
            self._runtime.log_limited(logging.WARNING, "occupancy_not_told", error=str(error))

    def doubt(self) -> None:
        """Something that was said may have been missed: all are asked again, before this node says anything more."""
        self._knows_all = False

    def revive(self) -> None:
        """This node was taken for dead, and the others know of none of its channels any more."""
        self._knows_all = False
        self._said, self._heard = set(), set()
        if self._here:
            self._say_soon(*self._here)

    def bury(self, node: str) -> list[str]:
        """A node is gone without a word, with all its subscribers. Returns the channels that have none any more."""
        held = [channel for channel, holders in self._holders.items() if node in holders]
        return [channel for channel in held if self._remove(node, channel)]

    def tell_vacated(self, channels: list[str]) -> None:
        """Tell the application of channels that were of nodes which are gone, as far as nobody came again."""
        for channel in channels:
            if channel not in self._holders:
                self._tell(channel, occupied=False)

    def _apply(self, changes: Changes) -> None:
        own = changes.node == self._node
        if own:
            self._heard = self._heard.difference(changes.went).union(changes.came)
            self._settled.set()
        for channel in self._add(changes.node, changes.came):
            if own:
                self._tell(channel, occupied=True)
        for channel in changes.went:
            if self._remove(changes.node, channel) and own:
                self._tell(channel, occupied=False)

    def _add(self, node: str, channels: list[str]) -> list[str]:
        """Enter channels of a node. Returns those that had no subscriber at any."""
        new = []
        for channel in channels:
            holders = self._holders.setdefault(channel, set())
            if not holders:
                new.append(channel)
            holders.add(node)
        return new

    def _remove(self, node: str, channel: str) -> bool:
        """Take a channel of a node out. Returns whether it was the last that had it."""
        holders = self._holders.get(channel)
        if holders is None or node not in holders:
            return False
        holders.discard(node)
        if holders:
            return False
        del self._holders[channel]
        return True

    # What the application is told

    def _tell(self, channel: str, *, occupied: bool) -> None:
        if self._untold.get(channel, occupied) is not occupied:
            del self._untold[channel]  # nobody was told of the one before: as if neither had been
            return
        self._untold[channel] = occupied
        if channel not in self._telling:
            self._telling.add(channel)
            self._runtime.spawn(self._tell_all(channel), name=END_OF_SESSION)

    async def _tell_all(self, channel: str) -> None:
        try:
            while (occupied := self._untold.pop(channel, None)) is not None:
                hook = self._hooks.occupied if occupied else self._hooks.vacated
                if hook is not None:
                    await hook.tell(ChannelNotice(channel))
        finally:
            self._telling.discard(channel)
