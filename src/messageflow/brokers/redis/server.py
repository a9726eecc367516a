"""One Redis that takes writes, as a node uses it: a connection to ask on, one to hear on, a canary between them.

What is to be heard is a set of names. It is subscribed to anew whenever the connection is made anew, and whoever
depends on it is told that something may have been missed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from messageflow.brokers.redis import scripts
from messageflow.brokers.redis.inspection import Inspection, inspect
from messageflow.brokers.redis.link import Link
from messageflow.brokers.redis.rehearsal import rehearse
from messageflow.brokers.redis.replies import NOT_NOW, Parts, Refused
from messageflow.brokers.redis.upkeep import ended, kept_up, soon_or_after
from messageflow.brokers.redis.urls import Make
from messageflow.errors import BrokerError, Unanswered, Unavailable

log = logging.getLogger("messageflow.broker")

SUBSCRIBE_AT_ONCE = 512  # names in one command
CANARY = b"canary"
CANARY_EVERY, DEAF_AFTER = 2.0, 8.0  # seconds
REDIRECTIONS = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "CROSSSLOT")


class Listener(Protocol):
    """Who hears. Calls are synchronous and never raise."""

    def on_announced(self, name: bytes, body: bytes) -> None:
        """Something was announced under a name."""

    def on_missed(self) -> None:
        """Something may have been missed."""

    def on_lost(self) -> None:
        """Redis is gone, or cannot be heard; it may have lost something when it is back."""

    def on_back(self) -> None:
        """Redis can be asked again after it could not."""


class Server:
    """One server.

    Args:
        make: returns a connection to it that is yet to be made.
        listener: who hears what is announced.
        canary: returns the name under which the canary is announced here.
        deadline: seconds a command may take.
        sharded: whether announcements are those of a Cluster, which lie in slots.
        on_moved: called when it no longer has all that it had, or cannot be reached.
    """

    def __init__(
        self,
        make: Make,
        listener: Listener,
        canary: Callable[[Server], str],
        *,
        deadline: float,
        sharded: bool = False,
        on_moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._listener = listener
        self._canary = canary
        self._deadline = deadline
        self._on_moved = on_moved
        self._names: dict[str, deque[asyncio.Future[None]]] = {}  # with those who wait until it is heard
        self._sent: deque[list[bytes]] = deque()  # the names of subscribe commands without an answer
        self._unsent: list[tuple[bool, str]] = []
        self._unheard: set[str] = set()  # names whose slot is not here (any more), or was not a moment ago
        self._heard = self._hearing_since = time.monotonic()
        self._refusal = ""  # what the last canary was answered, if not what it should
        self._is_back = asyncio.Event()  # a connection is there again, and it is time for a canary
        self._tasks: list[asyncio.Task[None]] = []
        prefix = "S" if sharded else ""
        self.announce = f"{prefix}PUBLISH"
        self._subscribe, self._unsubscribe = f"{prefix}SUBSCRIBE", f"{prefix}UNSUBSCRIBE"
        self._most = 1 if sharded else SUBSCRIBE_AT_ONCE  # names of one command lie in one slot
        self._loop = asyncio.get_running_loop()
        self.asking = Link(make, deadline=deadline, on_connected=self._asked_again, on_lost=self._lost)
        self.hearing = Link(
            make,
            deadline=deadline,
            on_connected=self._hear_again,
            on_message=self._message,
            on_lost=self._lost,
        )

    # Life

    async def start(self) -> None:
        """Connect.

        Raises:
            BrokerError: it cannot be reached, or refuses.
        """
        await self.asking.start()
        await self.hearing.start()
        self._tasks = [kept_up(self._run, "redis-canary")]

    def begin(self) -> None:
        """Connect as soon as it can be reached."""
        self.asking.begin()
        self.hearing.begin()
        self._tasks = [kept_up(self._run, "redis-canary")]

    async def close(self) -> None:
        """Let go of it."""
        await ended(self._tasks)
        await self.hearing.close()
        await self.asking.close()

    @property
    def trouble(self) -> str:
        """Why it cannot be relied on now; empty while it can."""
        if not (self.asking.is_up and self.hearing.is_up):
            return f"Redis cannot be reached: {self.asking.lost if not self.asking.is_up else self.hearing.lost}"
        if self._refusal:
            return self._refusal
        return "what is announced in Redis does not arrive" if self._is_silent_since(self._heard) else ""

    def _is_silent_since(self, moment: float) -> bool:
        return time.monotonic() - moment > DEAF_AFTER

    # Asking

    async def ask(self, commands: Sequence[Parts]) -> list[Any]:
        """Return a reply to each command; a `BrokerError` where there is none."""
        try:
            replies = await self.asking.ask(commands)
        except BrokerError as error:
            return [error] * len(commands)
        for index, reply in enumerate(replies):
            if not isinstance(reply, Refused):
                continue
            if reply.word == "READONLY":
                log.warning("redis_is_a_replica_now")
                self.asking.sever("it is a replica now")  # who takes writes is found out when connecting
                self.hearing.sever("it is a replica now")
                break
            if reply.word in NOT_NOW:
                replies[index] = Unavailable(f"Redis cannot do it now: {reply.text}")
        return replies

    async def inspect(self, prefix: str) -> Inspection:
        """Ask it about itself, and try all that will be asked of it under a prefix.

        Raises:
            BrokerError: it does not answer.
        """
        found = await inspect(self.asking.ask_one)
        return found._replace(hindrances=(*found.hindrances, *await rehearse(self.asking.ask, prefix)))

    def _lost(self) -> None:
        self._listener.on_lost()
        self._on_moved()

    def _asked_again(self) -> None:
        for script in scripts.ALL:
            self.asking.expect("SCRIPT", "LOAD", script.text)
        self._is_back.set()
        self._listener.on_back()

    # Hearing

    @property
    def names(self) -> Iterable[str]:
        """What is heard here."""
        return self._names

    async def subscribe(self, name: str) -> None:
        """Hear a name: all that is announced under it after this returns.

        Raises:
            Refused: this user may not.
            Unanswered: Redis did not confirm it in time.
        """
        confirmed = self._loop.create_future()
        self.take(name, deque([confirmed]))
        try:
            async with asyncio.timeout(self._deadline):
                await confirmed
        except TimeoutError:
            raise Unanswered("Redis did not confirm a subscription in time") from None

    def take(self, name: str, waiting: deque[asyncio.Future[None]]) -> None:
        """Hear a name from now on; those who wait learn when it is confirmed."""
        self._names.setdefault(name, deque()).extend(waiting)
        self._say(True, name)

    def drop(self, name: str) -> deque[asyncio.Future[None]]:
        """Hear a name no longer. Returns those who still waited."""
        self._say(False, name)
        return self._names.pop(name, deque())

    def unsubscribe(self, name: str) -> None:
        """Hear a name no longer. Who still waits for it to be heard waits no more."""
        for future in self.drop(name):
            if not future.done():
                future.set_result(None)

    def doubt(self) -> None:
        """Tell the listener that something may have been missed, once all names are heard."""
        self._flush()
        self.hearing.send("PING", "doubt")

    def _say(self, subscribe: bool, name: str) -> None:
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append((subscribe, name))

    def _flush(self) -> None:
        """Send what was said, neighbours of one kind together, in the order in which it was said."""
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
        if not self.hearing.is_up:
            return  # they are sent when it is
        if subscribe:
            self._sent.append([name.encode() for name in names])
        self.hearing.send(self._subscribe if subscribe else self._unsubscribe, *names)

    def _hear_again(self) -> None:
        """The connection is there, for the first time or again."""
        self._sent.clear()
        self._unsent.clear()
        self._unheard.clear()
        self._hearing_since = time.monotonic()
        self._is_back.set()
        names = list(self._names)
        for start in range(0, len(names), self._most):
            self._send(True, names[start : start + self._most])
        if names:
            self.hearing.send("PING", "doubt")  # answered after all of them

    def _message(self, message: Any) -> None:
        if isinstance(message, Refused):
            self._refused(message)
        elif not isinstance(message, list) or len(message) < 2:
            return
        elif message[0] in (b"message", b"smessage"):
            if message[2] == CANARY:
                self._heard = time.monotonic()
            else:
                self._listener.on_announced(message[1], message[2])
        elif message[0] in (b"subscribe", b"ssubscribe"):
            self._confirmed(message[1])
        elif message[0] == b"sunsubscribe" and message[1] and message[1].decode() in self._names:
            self._moved([message[1]])
        elif message[0] == b"pong" and message[1] == b"doubt":
            self._listener.on_missed()

    def _confirmed(self, name: bytes) -> None:
        if self._sent:
            first = self._sent[0]
            if name in first:
                first.remove(name)
            if not first:
                self._sent.popleft()
        waiting = self._names.get(name.decode())
        if waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(None)

    def _refused(self, error: Refused) -> None:
        """A command on the hearing connection was refused: the first one that has no answer yet."""
        names = self._sent.popleft() if self._sent else []
        if error.word in REDIRECTIONS:
            self._moved(names)
            return
        log.error("redis_refused", extra={"error": error.text})
        for name in names:
            for future in self._names.pop(name.decode(), ()):
                if not future.done():
                    future.set_exception(error)

    def _moved(self, names: Iterable[bytes]) -> None:
        """The slots of names went elsewhere."""
        self._unheard |= {name.decode() for name in names}
        self._on_moved()

    @property
    def misses_names(self) -> bool:
        """Whether some names should be heard here and are not."""
        return bool(self._unheard)

    def hear_missing(self) -> bool:
        """Subscribe again to names that should be heard here and are not. Returns whether there were any."""
        missing = [name for name in self._unheard if name in self._names]
        self._unheard.clear()
        for name in missing:
            self._say(True, name)
        return bool(missing)

    # The canary

    async def _run(self) -> None:
        """Announce to itself until cancelled; a connection on which that does not arrive is made anew."""
        name = ""
        while True:
            if (wanted := self._canary(self)) != name:
                if name:
                    self.drop(name)
                name = wanted
                self.take(name, deque())
                self._flush()
            # A Redis that loads its file announces, and does nothing else: so something is read, too.
            replies = await self.ask([(self.announce, name, CANARY), ("GET", name)])
            self._refusal = next((str(reply) for reply in replies if isinstance(reply, BrokerError)), "")
            if self._refusal:
                log.warning("canary_not_sent", extra={"error": self._refusal})
            await soon_or_after(self._is_back, CANARY_EVERY)
            if self.hearing.is_up and self._is_silent_since(max(self._heard, self._hearing_since)):
                log.error("deaf")
                self.hearing.sever("what is announced does not arrive")
