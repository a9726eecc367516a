"""What the two edges have in common: connections on which one call at a time speaks, and how it ends when one breaks.

All between the edges and the calls is written once, as coroutines. On the asyncio edge they wait; on the blocking edge
none of them ever does, since each thing they wait for has already happened when it returns, and `run_now` runs them.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from messageflow.errors import Picklable

if TYPE_CHECKING:
    from messageflow.brokers.redis.connections.url import Address
    from messageflow.redis_publisher.login import Login

T = TypeVar("T")


class Broken(Picklable, Exception):
    """A call cannot go on: no connection, or one that broke.

    Args:
        reason: completes the sentence "Redis cannot be reached: …".
        stale: a kept connection turned out to be closed, which says nothing about Redis.
        absent: nobody listens there.
        hopeless: another attempt will fail in the same way.
    """

    def __init__(self, reason: str, *, stale: bool = False, absent: bool = False, hopeless: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.stale = stale
        self.absent = absent
        self.hopeless = hopeless


class NotAccepted(Exception):
    """Redis does not accept the user or the password."""


class Attempt:
    """One attempt of a call, and how far it came.

    Args:
        limit: when it must be over, on the clock of `time.monotonic`.

    Attributes:
        sent: something has been sent, so that it may have arrived.
    """

    __slots__ = ("limit", "sent")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.sent = False


class Wire(Protocol):
    """One open connection. An error of any kind makes it unusable; whoever holds it closes it then."""

    def is_quiet(self) -> bool:
        """Whether the other side has neither closed it nor said anything that nobody has read."""

    async def send(self, data: bytes, limit: float) -> None:
        """Send packed commands.

        Raises:
            OSError: TimeoutError at the limit, otherwise the connection broke.
        """

    async def receive(self, limit: float) -> Any:
        """Return the next reply; one that is an error as a `Refused`.

        Raises:
            OSError: TimeoutError at the limit, otherwise the connection broke.
        """

    def close(self) -> None:
        """Let go of it at once."""


class Slots(Protocol):
    """How many connections may still be opened."""

    async def take(self, limit: float) -> None:
        """Take one, or wait until there is one.

        Raises:
            TimeoutError: at the limit.
        """

    def give_back(self) -> None:
        """Give one back."""


class Edge(Protocol):
    """Makes connections."""

    async def connect(self, login: Login, address: Address | None, limit: float, *, sentinel: bool = False) -> Wire:
        """Connect to a server of a URL, or to one of its Sentinels; without an address to its Unix socket.

        Raises:
            Broken: it cannot be reached.
            NotAccepted: user or password are wrong.
            TimeoutError: at the limit.
        """

    def slots(self, size: int) -> Slots:
        """Return that many slots."""


@contextmanager
def talking(*, stale: bool = False) -> Iterator[None]:
    """Turn what breaks a connection in the meantime into `Broken`; that time is out stays a TimeoutError.

    Args:
        stale: the connection had been kept, so that its end says nothing about Redis.
    """
    try:
        yield
    except TimeoutError:
        raise
    except OSError as error:
        raise Broken(str(error), stale=stale) from error


def left(limit: float) -> float:
    """Return the seconds until a limit.

    Raises:
        TimeoutError: there are none.
    """
    seconds = limit - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, and return its result."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("a call on the blocking edge waited for an event loop")
