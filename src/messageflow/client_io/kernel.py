"""What all I/O of flows is written in: the contracts of its parts, an attempt and how it breaks, and what runs it.

Owns no socket and no loop. Coroutines of the kernel wait only for what a `ClientIO` gives them; on blocking I/O that
has happened when it returns, so that `run_now` brings them to their end with one `send(None)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeVar

from messageflow.client_io.codec import Decoder, Malformed
from messageflow.client_io.outcome import NO_ANSWER, NO_CONNECTION, NoResponse, Response
from messageflow.errors import Picklable

if TYPE_CHECKING:
    import asyncio
    import ssl

T = TypeVar("T")
K = TypeVar("K")


class Broken(Picklable, Exception):
    """An attempt cannot go on: no connection, or one that broke.

    Args:
        reason: completes the sentence "… cannot be reached: …".
        stale: a kept connection turned out to be closed, which says nothing about the other side.
        absent: nobody listens there.
        hopeless: another attempt will fail in the same way.
    """

    def __init__(self, reason: str, *, stale: bool = False, absent: bool = False, hopeless: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.stale = stale
        self.absent = absent
        self.hopeless = hopeless


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

    def explain(self, error: Broken | TimeoutError) -> NoResponse:
        """Return what it means for the call that this attempt ended so."""
        if isinstance(error, TimeoutError):
            return NO_ANSWER if self.sent else NO_CONNECTION
        return NoResponse(error.reason, self.sent, stale=error.stale, absent=error.absent, hopeless=error.hopeless)


class ServerAddress(NamedTuple):
    """Where to connect to.

    Args:
        host: a name or an address.
        port: its port.
        path: of a Unix socket, instead of both.
        tls: returns what a connection is secured with, None for plain ones.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    tls: Callable[[], ssl.SSLContext] | None = None


class ClientConnection(Protocol):
    """One open connection. An error of any kind makes it unusable; its holder closes it then."""

    def is_quiet(self) -> bool:
        """Whether the other side has neither closed it nor said anything that nobody has read."""

    def is_reusable(self) -> bool:
        """Whether it may carry another request, for all that came so far."""

    async def send(self, data: bytes, limit: float) -> None:
        """Send bytes.

        Raises:
            OSError: TimeoutError at the limit, otherwise the connection broke.
        """

    async def receive(self, limit: float) -> Any:
        """Return the next reply.

        Raises:
            OSError: TimeoutError at the limit, otherwise the connection broke.
            Malformed: what came cannot be read.
        """

    def close(self) -> None:
        """Let go of it at once."""

    def abandon(self) -> None:
        """In a forked child: let go of this process's copy without a word on the wire."""


class Semaphore(Protocol):
    """How many may still go on at once."""

    async def acquire(self, limit: float) -> None:
        """Take one, or wait until there is one.

        Raises:
            TimeoutError: at the limit.
        """

    def release(self) -> None:
        """Give one back."""


class ClientIO(Protocol):
    """Blocking or asyncio I/O. Keeps nothing but the clients that were made on it."""

    blocks: bool
    """Whether a caller that waits holds up its thread or greenlet."""

    async def connect(self, address: ServerAddress, decoder: Decoder, limit: float) -> ClientConnection:
        """Connect to a server.

        Raises:
            OSError: TimeoutError at the limit, otherwise it cannot be reached.
        """

    def make_semaphore(self, size: int) -> Semaphore:
        """Return a semaphore of that size."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def run_on(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], limit: float) -> T:
        """Run a coroutine on an event loop of this process, and return its result.

        Raises:
            TimeoutError: at the limit; it is cancelled then.
            Broken: the loop has stopped.
        """

    def get_client(self, target: K, make: Callable[[ClientIO, K], ApiClient]) -> ApiClient:
        """Return the client of a target: one in this process, or for the running event loop.

        Args:
            target: where calls go; hashable, and equal targets share a client.
            make: makes a new one.
        """


class ApiClient(Protocol):
    """Carries out calls of the server API at one target."""

    async def exchange(self, method: str, body: bytes, limit: float, api_key: str = "") -> Response | NoResponse:
        """Carry out a call, and return what came of it by `limit`, on the clock of `time.monotonic`.

        When it is cancelled, the connection it used is closed; the call may have arrived.
        """

    def close(self) -> None:
        """Close idle connections; later calls open new ones."""

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections. Takes no lock, for a lost thread may hold it."""


async def connect(io: ClientIO, address: ServerAddress, decoder: Decoder, limit: float) -> ClientConnection:
    """Connect to a server.

    Raises:
        Broken: it cannot be reached.
        TimeoutError: at the limit.
    """
    try:
        return await io.connect(address, decoder, limit)
    except TimeoutError:
        raise
    except OSError as error:
        if type(error).__name__ == "SSLCertVerificationError":
            raise Broken(f"its certificate is not trusted ({error})", hopeless=True) from error
        absent = isinstance(error, ConnectionRefusedError | FileNotFoundError)  # the latter for a Unix socket
        raise Broken(str(error), absent=absent) from error


def raise_broken(error: OSError | Malformed, *, stale: bool = False) -> NoReturn:
    """Turn what ended an exchange into `Broken`; that time is out stays a TimeoutError.

    Args:
        error: what it ended with.
        stale: a connection had been kept, so that its end says nothing about the other side.
    """
    if isinstance(error, TimeoutError):
        raise error
    if isinstance(error, Malformed):
        raise Broken(str(error), hopeless=True) from error
    raise Broken(str(error), stale=stale) from error


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn what ends an exchange in the meantime as `raise_broken` does."""
    try:
        yield
    except (OSError, Malformed) as error:
        raise_broken(error)


def time_left(limit: float) -> float:
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
    raise RuntimeError("a call on blocking I/O waited for an event loop")
