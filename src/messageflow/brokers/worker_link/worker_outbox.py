"""What goes from the parent process to one worker: its queue, its back-pressure, and what it is owed.

A publication that has no room is dropped here, never in silence: the outbox then owes the word *missed*, and the worker
compares all its positions when it comes. What must not be lost (control messages, answers) waits. The socket is a PUSH,
the one kind that has no way to drop in silence. Owns that socket and what waits for it, never which worker subscribes
to what.
"""

from __future__ import annotations

from collections import deque

import zmq

from messageflow.brokers.worker_link.loop_socket import LoopSocket
from messageflow.brokers.worker_link.messages import BEAT, EVERYBODY, MISSED, WELCOME

UNHEARD_BYTES = 64 << 20  # sent to a worker that says nothing; from then on it misses
SETTLED = 5.0  # seconds: what was told that long before a sign of life was taken
DECISIONS = 10_000  # kept at most
OWED_LIMIT = 100_000  # messages that must not be lost and wait; a worker further behind than this is lost


class WorkerOutbox:
    """What is sent to one worker.

    Args:
        context: of ZeroMQ.
        node: the worker's name.
        address: where to bind; a worker of its own has an address of its own.
        identity: of its requests' socket.
        requests: on which they are answered.

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
        identity: bytes,
        requests: LoopSocket,
    ) -> None:
        self.node = node
        self.address = address
        self.channels: set[str] = set()
        self.dropped = 0
        self.lost = False
        self.heard = 0.0  # when it last spoke, on the owner's clock
        self._identity = identity
        self._requests = requests
        self._owed: deque[list[bytes]] = deque()
        self._owed_answers: deque[list[bytes]] = deque()
        self._owes_missed = False
        self._unheard = 0  # bytes sent since the worker last said something
        self._decisions: deque[tuple[float, list[bytes]]] = deque(maxlen=DECISIONS)
        self._publisher = LoopSocket(context, zmq.PUSH)
        self._publisher.socket.bind(address)
        self.tell([EVERYBODY, WELCOME])

    def note_heard(self, now: float) -> None:
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
        self._send(self._publisher, frames, self._owed)

    def answer(self, number: bytes, answer: bytes) -> None:
        """Answer a request."""
        self._send(self._requests, [self._identity, number, answer], self._owed_answers)

    def beat(self) -> None:
        """Let the worker hear that its link is alive."""
        self.tell([EVERYBODY, BEAT])

    def _send(self, socket: LoopSocket, frames: list[bytes], owed: deque[list[bytes]]) -> None:
        if owed or not socket.send(frames):
            owed.append(frames)
            self.lost = self.lost or len(owed) > OWED_LIMIT

    def tell_decision(self, frames: list[bytes], now: float) -> None:
        """Tell a decision about users, and keep it until the worker has shown that it still takes what it is told."""
        self._decisions.append((now, frames))
        self.tell(frames)

    @property
    def undecided(self) -> list[list[bytes]]:
        """The decisions the worker may not have taken."""
        return [frames for _, frames in self._decisions]

    def send_owed(self) -> None:
        """Send what is owed, as far as there is room. Called often."""
        for socket, owed in ((self._publisher, self._owed), (self._requests, self._owed_answers)):
            while owed and socket.send(owed[0]):
                owed.popleft()
        if self._owed:
            return
        if self._owes_missed and self._unheard <= UNHEARD_BYTES and self._publisher.send([EVERYBODY, MISSED]):
            self._owes_missed = False

    def close(self) -> None:
        """Release the socket."""
        self._publisher.close()
