"""One worker as the process with the broker sees it: the socket on which it hears, and whether it keeps up.

A publication that the worker's link has no room for is dropped there, never silently: the link then owes the word
*missed*, and the worker compares all its positions when it comes. What must not be lost (confirmations, control
messages) waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import zmq

from messageflow.brokers.zeromq.messages import EVERYBODY, MISSED, SUBSCRIBED, channel_of
from messageflow.brokers.zeromq.sockets import LoopSocket

UNHEARD_BYTES = 64 << 20  # sent to a worker that says nothing; from then on it misses
SETTLED = 5.0  # seconds: what was told that long before a sign of life was taken
DECISIONS = 10_000  # kept at most
OWED_LIMIT = 100_000  # messages that must not be lost and wait; a worker further behind than this is lost


class Link:
    """The publishing side towards one worker.

    Args:
        context: of ZeroMQ.
        node: the worker's name.
        address: where to bind; a worker of its own has an address of its own.
        changed: called with this link, a channel, and whether the worker wants it.

    Attributes:
        channels: what the worker subscribes to.
        dropped: publications it had no room for.
        lost: it is so far behind that it has to begin anew.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        node: str,
        address: str,
        changed: Callable[[Link, str, bool], None],
    ) -> None:
        self.node = node
        self.address = address
        self.channels: set[str] = set()
        self.dropped = 0
        self.lost = False
        self.heard = 0.0  # when it last spoke, on the owner's clock
        self._changed = changed
        self._owed: deque[list[bytes]] = deque()
        self._owes_missed = False
        self._unheard = 0  # bytes sent since the worker last said something
        self._decisions: deque[tuple[float, list[bytes]]] = deque(maxlen=DECISIONS)
        self._hears = False  # until it has subscribed to what is told everybody, which it does first
        self._publisher = LoopSocket(context, zmq.XPUB, self._subscription)
        self._publisher.socket.set(zmq.XPUB_VERBOSER, 1)  # every subscription is confirmed, a repeated one too
        self._publisher.socket.set(zmq.XPUB_NODROP, 1)  # when there is no room, say so
        self._publisher.socket.bind(address)

    def hear(self, now: float) -> None:
        """The worker has said something."""
        self.heard = now
        self._unheard = 0
        while self._decisions and self._decisions[0][0] < now - SETTLED:
            self._decisions.popleft()

    def publish(self, frames: list[bytes]) -> None:
        """Send what may be missed, and healed from history."""
        self._unheard += len(frames[-1])
        full = self._unheard > UNHEARD_BYTES
        if full or self._owed or self._owes_missed or not self._publisher.send(frames):
            self.dropped += 1
            self._owes_missed = True

    def tell(self, frames: list[bytes]) -> None:
        """Send what must not be lost."""
        if self._owed or not self._hears or not self._publisher.send(frames):
            self._owed.append(frames)
            self.lost = self.lost or len(self._owed) > OWED_LIMIT

    def decide(self, frames: list[bytes], now: float) -> None:
        """Tell a decision about users, and keep it until the worker has shown that it still takes what it is told."""
        self._decisions.append((now, frames))
        self.tell(frames)

    @property
    def undecided(self) -> list[list[bytes]]:
        """The decisions the worker may not have taken."""
        return [frames for _, frames in self._decisions]

    def settle(self) -> None:
        """Send what is owed, as far as there is room. Called often."""
        while self._owed and self._hears:
            if not self._publisher.send(self._owed[0]):
                return
            self._owed.popleft()
        if self._owes_missed and self._unheard <= UNHEARD_BYTES and self._publisher.send([EVERYBODY, MISSED]):
            self._owes_missed = False

    def close(self) -> None:
        """Release the socket."""
        self._publisher.close()

    def _subscription(self, frames: list[bytes]) -> None:
        wanted, topic = frames[0][:1] == b"\1", frames[0][1:]
        if topic != EVERYBODY:
            channel = channel_of(topic)
            if wanted:
                self.channels.add(channel)
            else:
                self.channels.discard(channel)
            self._changed(self, channel, wanted)
        if wanted:
            self._hears = self._hears or topic == EVERYBODY
            self.tell([topic, SUBSCRIBED])
