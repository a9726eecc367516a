"""The backends: `Flow` and `AsyncFlow` in processes of their own, and what they cost.

One interpreter pushes on one core, so a single client may be the limit and not the gateway. Work for several is
divided among processes that begin together. It never measures the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier, Event
from types import TracebackType
from typing import NamedTuple, Self, cast

import uvloop

from benchmarks.servers.gateway import API_KEY, TOKEN_SECRET
from messageflow import AsyncFlow, Flow, Receipt

START_SECONDS = 30.0
END_SECONDS = 30.0
BATCH = 500
TYPE = "bench/push"
EVERYBODY = "*"
PAYLOAD = {"id": 7, "text": "x" * 90}


class BackendFailed(Exception):
    """A pushing process did not come to its end."""


Place = int | str  # the port of a gateway, or the URL of a Redis to which a Flow writes without one
Job = Callable[[Place, Sequence[str]], None]


class Work(NamedTuple):
    """What pushing came to; CPU is that of the pushing processes together."""

    pushes: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Pushes a second from the first request to the last receipt."""
        return self.pushes / self.seconds


def address(place: Place) -> str:
    """What a Flow is told."""
    return place if isinstance(place, str) else f"http://127.0.0.1:{place}"


def our_flow(place: Place) -> Flow:
    """A Flow for the gateway on this port, or for this Redis."""
    return Flow(address(place), api_key=API_KEY, token_secret=TOKEN_SECRET)


def to(flow: Flow, user: str, payload: object) -> Receipt:
    """Push to a user, or to everybody where it is EVERYBODY."""
    return flow.broadcast(TYPE, payload) if user == EVERYBODY else flow.push(user, TYPE, payload)


def one_after_another(place: Place, users: Sequence[str]) -> None:
    """Push to each of these users, each after the receipt of the one before."""
    with our_flow(place) as flow:
        for user in users:
            to(flow, user, PAYLOAD)


def in_batches(place: Place, users: Sequence[str]) -> None:
    """Push to each of these users, handed over BATCH at a time."""
    with our_flow(place) as flow:
        for first in range(0, len(users), BATCH):
            with flow.batch() as batch:
                for user in users[first : first + BATCH]:
                    batch.push(user, TYPE, PAYLOAD)


def in_one_batch(place: Place, users: Sequence[str]) -> None:
    """Push to all of these users in one batch."""
    with our_flow(place) as flow, flow.batch() as batch:
        for user in users:
            batch.push(user, TYPE, PAYLOAD)


def later(place: Place, users: Sequence[str]) -> None:
    """Push to each of these users later, and wait until all is stored.

    Raises:
        BackendFailed: something was dropped or refused.
    """
    with our_flow(place) as flow:
        for user in users:
            flow.later.push(user, TYPE, PAYLOAD)
        flow.later.flush(END_SECONDS)
        if flow.later.stats.sent != len(users):
            raise BackendFailed(f"not all was sent: {flow.later.stats}")


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A job: push to each of these users, always so many under way."""

    under_way: int

    def __call__(self, place: Place, users: Sequence[str]) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._push(place, users))

    async def _push(self, place: Place, users: Sequence[str]) -> None:
        waiting = iter(users)

        async def publisher(flow: AsyncFlow) -> None:
            for user in waiting:
                await flow.push(user, TYPE, PAYLOAD)

        async with (
            AsyncFlow(address(place), api_key=API_KEY, token_secret=TOKEN_SECRET) as flow,
            asyncio.TaskGroup() as publishers,
        ):
            for _ in range(self.under_way):
                publishers.create_task(publisher(flow))


def push(job: Job, place: Place, users: Sequence[str], processes: int = 1) -> Work:
    """Push once to each of these users, who are dealt out among processes.

    Raises:
        MessageflowError: a push was refused, or did not come through.
    """
    context = get_context("fork")  # a child has to know the keys of this run
    together = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, _begin_at, (together,)) as pool:
        parts = [pool.submit(_timed, job, place, users[number::processes]) for number in range(processes)]
        spans = [part.result() for part in parts]
    seconds = max(span.ended for span in spans) - min(span.started for span in spans)
    return Work(len(users), seconds, sum(span.cpu_seconds for span in spans))


class Told(NamedTuple):
    """What a steady backend has receipts for."""

    newest: dict[str, int]  # by channel, the greatest offset
    pushes: int
    slowest: float  # seconds that one push took, attempts and pauses together


class Backend:
    """A process that pushes evenly, from `begin` until `end`, and says in each push when it set out.

    Make it before sockets are opened that it should not hold too.

    Args:
        port: where the gateway listens.
        users: whom it pushes to, in turn; EVERYBODY among them.
        per_second: how many pushes.
    """

    def __init__(self, port: int, users: Sequence[str], per_second: float) -> None:
        context = get_context("fork")
        self._begin, self._end = context.Event(), context.Event()
        self._told, tell = context.Pipe(duplex=False)
        work = (port, users, per_second, self._begin, self._end, tell)
        self._process = context.Process(target=_push_steadily, args=work, daemon=True)
        self._process.start()
        tell.close()

    def begin(self) -> None:
        """Let it push."""
        self._begin.set()

    def end(self) -> Told:
        """Let it finish the push under way.

        Raises:
            BackendFailed: it did not, or a push failed before.
        """
        self._end.set()
        try:
            if self._told.poll(END_SECONDS):
                return cast(Told, self._told.recv())
        except EOFError:
            pass
        raise BackendFailed("the pushing process ended without a word; its error stands above")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.join()


def _push_steadily(
    port: int, users: Sequence[str], per_second: float, begin: Event, end: Event, tell: Connection
) -> None:
    newest: dict[str, int] = {}
    number, slowest = 0, 0.0
    with our_flow(port) as flow:
        begin.wait()
        started = time.monotonic()
        while not end.wait(max(0.0, started + number / per_second - time.monotonic())):
            at = time.monotonic()
            receipt = to(flow, users[number % len(users)], {"at": at})
            newest[receipt.channel] = receipt.offset
            number, slowest = number + 1, max(slowest, time.monotonic() - at)
    tell.send(Told(newest, number, slowest))


class _Span(NamedTuple):
    """When one process worked, on the clock all processes share, and what it used."""

    started: float
    ended: float
    cpu_seconds: float


_together: Barrier


def _begin_at(barrier: Barrier) -> None:
    global _together
    _together = barrier


def _timed(job: Job, place: Place, users: Sequence[str]) -> _Span:
    _together.wait(START_SECONDS)
    started, used = time.monotonic(), time.process_time()
    job(place, users)
    return _Span(started, time.monotonic(), time.process_time() - used)
