"""`flow.later`: calls that return at once and are sent by a thread of their own.

Thin: what waits, for how long and what is lost stands in `later_queue`, when it is sent in `later_sender`.
"""

from __future__ import annotations

from collections.abc import Callable

from messageflow.publisher import inprocess, served_loops
from messageflow.publisher.call import Call
from messageflow.publisher.collector import CallCollector
from messageflow.publisher.later_queue import LaterStats
from messageflow.publisher.later_sender import LaterSender
from messageflow.publisher.results import Receipt


class LaterBase(CallCollector):
    """The common part of `Later` and `AsyncLater`.

    Args:
        collect: takes a call.
        get_sender: returns what sends in this process.
        timeout: seconds that a flush takes unless it is told.
    """

    __slots__ = ("_collect", "_get_sender", "_timeout")

    def __init__(
        self, collect: Callable[[Call[Receipt]], None], get_sender: Callable[[], LaterSender], timeout: float
    ) -> None:
        self._collect = collect
        self._get_sender = get_sender
        self._timeout = timeout

    @property
    def stats(self) -> LaterStats:
        """How many wait, were sent, refused and dropped, in this process and for this gateway."""
        return self._get_sender().stats

    def _add(self, call: Call[Receipt]) -> None:
        self._collect(call)

    def _choose(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else timeout


class Later(LaterBase):
    """What `Flow` sends later; see `Flow.later`."""

    __slots__ = ()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what waits now has left the queue: `stats` says how.

        Args:
            timeout: seconds; else those of the flow.

        Returns:
            Whether it has.

        Raises:
            PublishError: called on the event loop of a gateway in this process, which would wait for itself, or on
                one that serves an application.
        """
        inprocess.refuse_to_block_its_loop()
        served_loops.refuse_to_block()
        return self._get_sender().flush(self._choose(timeout))


class AsyncLater(LaterBase):
    """What `AsyncFlow` sends later; see `Flow.later`. Calls return at once and are not awaited."""

    __slots__ = ()

    async def flush(self, timeout: float | None = None) -> bool:
        """As `Later.flush`. When it is cancelled, what waits is sent all the same."""
        import asyncio  # here, for a process without an event loop never pays for it

        return await asyncio.to_thread(self._get_sender().flush, self._choose(timeout))
