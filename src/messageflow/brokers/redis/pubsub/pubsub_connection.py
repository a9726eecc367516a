"""The pub/sub connection to one server: a set of names that are subscribed to there.

After each reconnect all names are subscribed to again, and the listener is told that something may have been missed.
Owns the subscriptions, never reads what is announced, but for the canary, of which it keeps the time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from messageflow.brokers.base import own_task
from messageflow.brokers.redis.connections.connector import MakeConnection
from messageflow.brokers.redis.connections.reconnecting_connection import ReconnectingConnection
from messageflow.brokers.redis.connections.resp import NOT_HERE, Announcing, ErrorReply
from messageflow.errors import Unanswered

log = logging.getLogger("messageflow.broker")

SUBSCRIBE_AT_ONCE = 512  # names in one command
CANARY = b"canary"


class PubSubListener(Protocol):
    """Takes what is announced. Calls are synchronous and never raise."""

    def on_announced(self, name: bytes, body: bytes) -> None:
        """Something was announced under a name."""

    def on_missed(self) -> None:
        """Something may have been missed."""

    def on_lost(self) -> None:
        """Redis is gone, or cannot be heard; it may have lost something when it is back."""

    def on_back(self) -> None:
        """Redis can be asked again after it could not."""


class PubSubConnection:
    """The names that are heard at one server.

    Args:
        make: returns a connection to it that is yet to be made.
        listener: takes what is announced.
        deadline: seconds within which a subscription is confirmed.
        announces: how something is announced there.
        on_connected: called when the connection is there, for the first time or again.
        on_lost: called when it is gone.
        on_moved: called when the slots of some names are no longer here.

    Attributes:
        names: what is subscribed to, with the futures of the callers that wait for the confirmation.
        canary_at: when the last canary arrived, on the clock of `time.monotonic`.
        connected_at: when the connection was made, on the same clock.
    """

    def __init__(
        self,
        make: MakeConnection,
        listener: PubSubListener,
        *,
        deadline: float,
        announces: Announcing,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_moved: Callable[[], None],
    ) -> None:
        self._listener = listener
        self._deadline = deadline
        self._on_connected = on_connected
        self._on_moved = on_moved
        self.names: dict[str, deque[asyncio.Future[None]]] = {}
        self._sent: deque[list[bytes]] = deque()  # the names of subscribe commands without an answer
        self._unsent: list[tuple[bool, str]] = []
        self._unheard: set[str] = set()  # names whose slot is not here (any more), or was not a moment ago
        self.canary_at = self.connected_at = time.monotonic()
        sharded = announces.command == "SPUBLISH"
        prefix = "S" if sharded else ""
        self._subscribe, self._unsubscribe = f"{prefix}SUBSCRIBE", f"{prefix}UNSUBSCRIBE"
        self._most = 1 if sharded else SUBSCRIBE_AT_ONCE  # names of one command lie in one slot
        self._ending = announces.ending
        self._loop = asyncio.get_running_loop()
        self.connection = ReconnectingConnection(
            make, deadline=deadline, on_connected=self._resubscribe, on_message=self._take_message, on_lost=on_lost
        )

    async def subscribe(self, name: str) -> None:
        """Subscribe to a name: all that is announced under it after this returns is heard.

        Raises:
            Refused: this user may not.
            Unanswered: Redis did not confirm it in time.
        """
        confirmed = self._loop.create_future()
        self.add(name, deque([confirmed]))
        await own_task()
        try:
            async with asyncio.timeout(self._deadline):
                await confirmed
        except TimeoutError:
            raise Unanswered("Redis did not confirm a subscription in time") from None

    def add(self, name: str, waiting: Iterable[asyncio.Future[None]] = ()) -> None:
        """Subscribe to a name; the futures are done when that is confirmed."""
        self.names.setdefault(name, deque()).extend(waiting)
        self._queue_change(True, name)

    def remove(self, name: str) -> deque[asyncio.Future[None]]:
        """Unsubscribe from a name. Returns the futures that were not done."""
        self._queue_change(False, name)
        return self.names.pop(name, deque())

    def unsubscribe(self, name: str) -> None:
        """Unsubscribe from a name; callers that still wait for its confirmation go on."""
        for future in self.remove(name):
            if not future.done():
                future.set_result(None)

    def report_missed(self) -> None:
        """Report to the listener that something may have been missed, once all names are confirmed."""
        self.flush()
        self.connection.send("PING", "doubt")

    @property
    def misses_names(self) -> bool:
        """Whether some names should be heard here and are not."""
        return bool(self._unheard)

    def resubscribe_missing(self) -> bool:
        """Subscribe again to names that should be heard here and are not. Returns whether there were any."""
        missing = [name for name in self._unheard if name in self.names]
        self._unheard.clear()
        for name in missing:
            self._queue_change(True, name)
        return bool(missing)

    # What is said

    def _queue_change(self, subscribe: bool, name: str) -> None:
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent.append((subscribe, name))

    def flush(self) -> None:
        """Send what is to be said, neighbours of one kind together, in the order in which it was decided."""
        unsent, self._unsent = self._unsent, []
        start = 0
        while start < len(unsent):
            subscribe = unsent[start][0]
            end = start + 1
            while end < len(unsent) and end - start < self._most and unsent[end][0] == subscribe:
                end += 1
            self._send(subscribe, [name for _, name in unsent[start:end]])
            start = end

    def _send(self, subscribe: bool, names: list[str]) -> None:
        if not self.connection.is_up:
            return  # they are sent when it is
        if subscribe:
            self._sent.append([name.encode() for name in names])
        self.connection.send(
            self._subscribe if subscribe else self._unsubscribe, *[name + self._ending for name in names]
        )

    def _resubscribe(self) -> None:
        """The connection is there, for the first time or again."""
        self._sent.clear()
        self._unsent.clear()
        self._unheard.clear()
        self.connected_at = time.monotonic()
        self._on_connected()
        names = list(self.names)
        for start in range(0, len(names), self._most):
            self._send(True, names[start : start + self._most])
        if names:
            self.connection.send("PING", "doubt")  # answered after all of them

    # What is heard

    def _take_message(self, message: Any) -> None:
        if isinstance(message, ErrorReply):
            self._take_refusal(message)
            return
        if not isinstance(message, list) or len(message) < 2:
            return
        if self._ending and isinstance(message[1], bytes):
            message[1] = message[1].removesuffix(self._ending.encode())
        if message[0] in (b"message", b"smessage"):
            if message[2] == CANARY:
                self.canary_at = time.monotonic()
            else:
                self._listener.on_announced(message[1], message[2])
        elif message[0] in (b"subscribe", b"ssubscribe"):
            self._confirm(message[1])
        elif message[0] == b"sunsubscribe" and message[1] and message[1].decode() in self.names:
            self._note_moved([message[1]])
        elif message[0] == b"pong" and message[1] == b"doubt":
            self._listener.on_missed()

    def _confirm(self, name: bytes) -> None:
        if self._sent:
            first = self._sent[0]
            if name in first:
                first.remove(name)
            if not first:
                self._sent.popleft()
        waiting = self.names.get(name.decode())
        if waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(None)

    def _take_refusal(self, error: ErrorReply) -> None:
        """A command was refused: the first one that has no answer yet."""
        names = self._sent.popleft() if self._sent else []
        if error.word in NOT_HERE:
            self._note_moved(names)
            return
        log.error("redis_refused", extra={"error": error.text})
        for name in names:
            for future in self.names.pop(name.decode(), ()):
                if not future.done():
                    future.set_exception(error)

    def _note_moved(self, names: Iterable[bytes]) -> None:
        """The slots of names went elsewhere."""
        self._unheard |= {name.decode() for name in names}
        self._on_moved()
