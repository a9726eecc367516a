"""A worker's end of the link to its parent: the connection of the moment, and the requests that wait for an answer.

Every request is answered, or fails: when its deadline is over, and at once when the link is lost. Owns the requests
under way; what they mean, and when the link is made anew, is the broker's.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial

import msgspec

from messageflow.brokers.base import Later, Stored, Waiter
from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.framing import LARGEST
from messageflow.brokers.worker_link.link_connection import LinkConnection
from messageflow.brokers.worker_link.peer import check_peer
from messageflow.core.stream import Item
from messageflow.errors import BrokerError, Unanswered, Unavailable

log = logging.getLogger("messageflow.broker")

ASKED_BYTES = 8 << 20  # that wait; from here on nothing is asked any more
LOOKS = 8  # for overdue requests within one deadline
NOTHING_STORED = Stored("", 0, "", "memory")  # beside an error
STALLED = 1.0  # seconds that a look is late when this process was frozen: what was answered is still to be read


class LinkLost(Unanswered):
    """The link broke before the answer came."""


class PendingRequest(Waiter):
    """A request under way.

    Attributes:
        sent: when, on the clock of the loop.
        answer: once it is done.
    """

    sent = 0.0
    answer = b""

    def take(self, answer: bytes) -> None:
        """This is the answer."""
        self.answer = answer
        self.end(None)


class PendingPublish:
    """A publish under way that nobody waits for in a coroutine.

    Args:
        later: is told what comes of it.
        sent: when, on the clock of the loop.
    """

    __slots__ = ("_later", "sent")

    def __init__(self, later: Later, sent: float) -> None:
        self._later = later
        self.sent = sent

    def done(self) -> bool:
        """Whether it has ended: never while it is known here."""
        return False

    def take(self, answer: bytes) -> None:
        """This is the answer.

        Raises:
            msgspec.MsgspecError: it is none; whether anything was stored is not known.
        """
        try:
            (stored,) = m.decode_stored(answer)
        except (ValueError, msgspec.MsgspecError) as error:
            self.end(Unanswered(f"the answer of the parent process was not understood: {error}"))
            raise
        self._tell(stored, None)

    def end(self, error: BrokerError) -> None:
        """It was not stored, or nobody knows whether it was."""
        self._tell(NOTHING_STORED, error)

    def _tell(self, stored: Stored, error: BrokerError | None) -> None:
        try:
            self._later(stored, error)
        except Exception:  # of who published; what else came over the link is for others
            log.exception("task_failed", extra={"task": "publish"})


class ParentLink:
    """The link of one worker.

    Args:
        deadline: seconds the parent has to answer a request.
        receive: takes each frame that is no answer.
        on_room: called when there is room for requests again.
        on_lost: called with the reason when the link is lost.
    """

    def __init__(
        self,
        deadline: float,
        receive: Callable[[bytes], None],
        on_room: Callable[[], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self.unanswered = 0
        self.severed = ""
        self._deadline = deadline
        self._receive = receive
        self._on_room = on_room
        self._on_lost = on_lost
        self._connection: LinkConnection | None = None
        self._asked: dict[int, PendingRequest | PendingPublish] = {}  # in the order in which they were sent
        self._number = m.NO_ANSWER
        self._looking: asyncio.TimerHandle | None = None
        self._next_look = 0.0
        self._loop: asyncio.AbstractEventLoop

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def has_room(self) -> bool:
        """Whether a request would be sent now."""
        return self._connection is not None and not self._connection.full

    # The connection

    async def connect(self, address: str) -> None:
        """Make the link, anew where there is one.

        Raises:
            BrokerError: the parent cannot be reached there.
        """
        self._loop = asyncio.get_running_loop()
        self.drop("the link is made anew")
        link = socket.socket(socket.AF_UNIX)
        try:
            link.setblocking(False)
            link.connect(address)  # done at once, or refused: a Unix socket does not wait for the other end
            check_peer(link)
            make = partial(LinkConnection, self, ASKED_BYTES)
            _, connection = await self._loop.create_unix_connection(make, sock=link)
        except OSError as error:
            link.close()
            raise Unavailable(f"the parent process cannot be reached at {address}: {error}") from None
        self._connection = connection
        if self._looking is None:
            self._plan_look()

    def drop(self, why: str) -> None:
        """Let go of the connection; what waits for an answer fails."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort(why)
            self._fail_all(why)

    def close(self) -> None:
        """End it once what was sent has been taken."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._fail_all("the broker is closed")
        if self._looking is not None:
            self._looking.cancel()

    def sever(self, why: str) -> None:
        """The parent is gone for good: what was asked is not answered, and nothing more is asked."""
        self.severed = why
        self.drop(why)

    def _fail_all(self, why: str) -> None:
        asked, self._asked = self._asked, {}
        for pending in asked.values():
            pending.end(LinkLost(why))

    # What the connection tells

    def link_made(self, connection: LinkConnection) -> None:
        pass

    def link_frames(self, connection: LinkConnection, frames: list[bytes]) -> None:
        for frame in frames:
            kind = frame[0] if frame else 0
            try:
                if kind == m.OK or kind == m.FAILED:
                    self._take_answer(kind, frame)
                else:
                    self._receive(frame)
            except (ValueError, msgspec.MsgspecError) as error:
                connection.abort(f"an answer was not understood: {error}")
            if connection.closed:
                return

    def link_room(self, connection: LinkConnection) -> None:
        if connection is self._connection:
            self._on_room()

    def link_lost(self, connection: LinkConnection, why: str) -> None:
        if connection is self._connection:
            self._connection = None
            why = f"the link to the parent process is lost: {why}"
            self._fail_all(why)
            self._on_lost(why)

    # Requests

    def ask(self, request: m.Request) -> PendingRequest:
        """Send a request and return its answer to come, which is `Unanswered` when it is overdue.

        Raises:
            Unavailable: it could not be sent.
        """
        connection = self._require_room()
        pending = PendingRequest(loop=self._loop)
        pending.sent = self._loop.time()
        self._send(connection, request, pending)
        return pending

    def publish(self, item: Item, later: Later) -> None:
        """Send one item to be stored, and tell what comes of it later; without a coroutine and a future.

        Raises:
            Unavailable: it could not be sent.
        """
        connection = self._require_room()
        self._send(connection, m.PublishItems([item]), PendingPublish(later, self._loop.time()))

    def _require_room(self) -> LinkConnection:
        connection = self._connection
        if connection is None:
            raise Unavailable(self.severed or "the link to the parent process is being made anew: nothing was sent")
        if connection.full:
            raise Unavailable("too many requests wait for the parent process: nothing was sent")
        return connection

    def _send(self, connection: LinkConnection, request: m.Request, pending: PendingRequest | PendingPublish) -> None:
        number = self._number + 1
        frame = m.encode_request(number, request)
        if len(frame) > LARGEST:
            raise BrokerError(f"a request of {len(frame)} bytes is larger than any may be: nothing was sent")
        self._number = number
        self._asked[number] = pending
        connection.send(frame)

    def tell(self, request: m.Request) -> bool:
        """Send a request that wants no answer, or return False when it could not be sent."""
        connection = self._connection
        if connection is None or connection.full:
            return False
        connection.send(m.encode_request(m.NO_ANSWER, request))
        return True

    def _take_answer(self, kind: int, frame: bytes) -> None:
        number, body = m.read_numbered(frame)
        pending = self._asked.pop(number, None)
        if pending is None:
            return  # it was overdue
        if kind == m.OK:
            pending.take(body)
        else:
            pending.end(m.read_failure(body))

    # Deadlines

    def _plan_look(self) -> None:
        every = self._deadline / LOOKS
        self._next_look = self._loop.time() + every
        self._looking = self._loop.call_later(every, self._look)

    def _look(self) -> None:
        """Give up what is overdue, the oldest first: one look for all, where a timer for each cost 2 µs of a push."""
        now = self._loop.time()
        if now - self._next_look < STALLED:
            before = now - self._deadline
            while self._asked:
                number, pending = next(iter(self._asked.items()))
                if pending.sent > before:
                    break
                del self._asked[number]
                if not pending.done():
                    self.unanswered += 1
                    pending.end(Unanswered(f"the parent process did not answer within {self._deadline:g} s"))
        self._plan_look()
