"""The channels a worker subscribes to, as requests to the process with the broker that are confirmed one by one.

Changes go there in the order in which they were made, those of one turn of the event loop in one request. A
subscription stands when the request that carried it is answered: the answer bears that request's number, travels
beside the publications, and so can neither be taken for another's nor be overtaken by what comes after it. Owns what is
wanted and what is not confirmed yet; never hears a publication.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from messageflow.brokers.base import own_task
from messageflow.brokers.worker_link import messages as m
from messageflow.errors import BrokerError, Unanswered, Unavailable

RETRY = 0.02  # seconds after which a request for which there was no room is tried again


class SubscriptionRequests:
    """The channels of one worker.

    Args:
        send: sends a request and returns its answer to come, which fails when it is overdue; raises `Unavailable`
            when it cannot be sent.
        deadline: seconds a subscription may take.
        on_lost: called with the reason when the other side does not know what is wanted; `resume` ends this.

    Attributes:
        channels: what is wanted, known to the other side or not.
    """

    def __init__(
        self, send: Callable[[m.Request], asyncio.Future[bytes]], deadline: float, on_lost: Callable[[str], None]
    ) -> None:
        self.channels: set[str] = set()
        self._send = send
        self._deadline = deadline
        self._on_lost = on_lost
        self._changes: dict[str, bool] = {}  # still to be sent: whether a channel is wanted
        self._waiting: list[asyncio.Future[None]] = []  # for changes still to be sent
        self._stranded: list[asyncio.Future[None]] = []  # for changes that were sent to somebody who knows us no more
        self._flushing: asyncio.Handle | None = None

    async def add(self, channel: str) -> None:
        """Return once the other side delivers a channel.

        Raises:
            Unanswered: it did not say so in time.
        """
        self.channels.add(channel)
        confirmed = asyncio.get_running_loop().create_future()
        self._waiting.append(confirmed)
        self._change(channel, wanted=True)
        await own_task()
        try:
            async with asyncio.timeout(self._deadline):
                await confirmed
        except TimeoutError:
            why = f"the parent process did not confirm a subscription within {self._deadline:g} s"
            self._on_lost(why)
            raise Unanswered(why) from None

    def discard(self, channel: str) -> None:
        """Want a channel no longer."""
        self.channels.discard(channel)
        self._change(channel, wanted=False)

    def resume(self) -> None:
        """The other side has been told of all `channels` anew."""
        stranded, self._stranded = self._stranded, []
        _resolve(stranded)

    def close(self) -> None:
        """Send nothing any more."""
        if self._flushing is not None:
            self._flushing.cancel()

    def _change(self, channel: str, *, wanted: bool) -> None:
        self._changes[channel] = wanted
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        wanted = [channel for channel, wanted in self._changes.items() if wanted]
        unwanted = [channel for channel, wanted in self._changes.items() if not wanted]
        try:
            answer = self._send(m.ChangeSubscriptions(wanted, unwanted))
        except Unavailable:
            self._flushing = asyncio.get_running_loop().call_later(RETRY, self._flush)
            return
        answer.add_done_callback(partial(self._confirm, self._waiting))
        self._flushing, self._changes, self._waiting = None, {}, []

    def _confirm(self, waiting: list[asyncio.Future[None]], answer: asyncio.Future[bytes]) -> None:
        try:
            m.read_answer(answer.result())
        except BrokerError as error:
            self._stranded += waiting
            self._on_lost(str(error))
        else:
            _resolve(waiting)


def _resolve(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():  # the caller may have given up
            future.set_result(None)
