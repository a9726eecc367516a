"""What goes from the parent process to one worker: back-pressure, what it missed, and what must not be lost.

A publication that has no room, as `DROP_BYTES` wait, is dropped here, never in silence: the outbox then owes the word
*missed*, and the worker compares all its positions when it comes. What must not be lost waits, up to `OWED_BYTES`; a
worker further behind loses its link and begins anew. Decisions, about users and of who died, are kept until the worker
has said that it took them. Lives as long as the worker, over all its links. Never knows who wants what but this worker.
"""

from __future__ import annotations

from collections import deque

from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.link_connection import LinkConnection

DROP_BYTES = 8 << 20  # that wait; from here on publications are dropped
OWED_BYTES = 64 << 20  # that wait; a worker further behind than this begins anew
DECISIONS = 100_000  # kept at most until they are known to be taken: a worker that dies has as many clients at most

_MISSED = bytes([m.MISSED])


class WorkerOutbox:
    """What is sent to one worker.

    Args:
        node: the worker's name.
        now: on the owner's clock.

    Attributes:
        channels: what the worker subscribes to.
        connection: its link of the moment, full at `DROP_BYTES`.
        dropped: publications it had no room for.
        heard: when it last spoke, on the owner's clock.
    """

    def __init__(self, node: str, now: float) -> None:
        self.node = node
        self.channels: set[str] = set()
        self.connection: LinkConnection | None = None
        self.dropped = 0
        self.heard = now
        self._owes_missed = False
        self._decisions: deque[tuple[int, bytes]] = deque(maxlen=DECISIONS)

    def attach(self, connection: LinkConnection, taken: int) -> None:
        """Send over this link from now on, first the decisions after the one with the number `taken`."""
        self.connection = connection
        self._owes_missed = False  # it compares all positions anyway
        self.note_taken(taken)
        for _, frame in self._decisions:
            connection.send(frame)

    def publish(self, frame: bytes) -> None:
        """Send what may be missed, and healed from history."""
        connection = self.connection
        if connection is None:
            return
        if connection.full or self._owes_missed:
            self.dropped += 1
            self._owes_missed = True
        else:
            connection.send(frame)

    def tell(self, frame: bytes) -> None:
        """Send what must not be lost."""
        connection = self.connection
        if connection is None:
            return
        connection.send(frame)
        if connection.full and connection.waiting > OWED_BYTES:
            connection.abort("the worker is too far behind")

    def tell_missed(self) -> None:
        """Tell the worker that it may have missed something."""
        self.tell(_MISSED)

    def tell_decision(self, number: int, frame: bytes) -> None:
        """Tell a decision about users, and keep it until the worker has taken it."""
        self._decisions.append((number, frame))
        self.tell(frame)

    def note_taken(self, number: int) -> None:
        """The worker has taken the decisions up to this one."""
        decisions = self._decisions
        while decisions and decisions[0][0] <= number:
            decisions.popleft()

    def note_room(self) -> None:
        """The worker takes what it is sent again."""
        if self._owes_missed:
            self._owes_missed = False
            self.tell_missed()
