"""The channels a worker subscribes to, as requests to the process with the broker that are confirmed one by one.

A change is sent where it is made, after those before it. Where there is no room, or no link, changes gather and go
together once there is. A subscription stands when the request that carried it is answered: the answer bears that
request's number, travels before what is published from then on, and so can neither be taken for another's nor be
overtaken. Owns what is wanted and what could not be sent yet; never hears a publication.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from messageflow.brokers.base import Waiter, own_task
from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.parent_link import LinkLost, ParentLink, PendingRequest
from messageflow.core.stream import Position
from messageflow.errors import Unanswered, Unavailable


class SubscriptionRequests:
    """The channels of one worker.

    Args:
        link: to the other side.
        deadline: seconds a subscription may take.
        on_lost: called with the reason when the other side may not know what is wanted; `resume` ends this.

    Attributes:
        channels: what is wanted, known to the other side or not.
    """

    def __init__(self, link: ParentLink, deadline: float, on_lost: Callable[[str], None]) -> None:
        self.channels: set[str] = set()
        self._link = link
        self._deadline = deadline
        self._on_lost = on_lost
        self._changes: dict[str, bool] = {}  # still to be sent: whether a channel is wanted
        self._waiting: list[Waiter] = []  # for changes still to be sent
        self._stranded: list[Waiter] = []  # for changes that were sent over a link that was lost

    @property
    def are_sent(self) -> bool:
        """Whether all changes have been sent, so that the next is sent where it is made if the link has room."""
        return not self._changes

    async def add(self, channel: str, request: m.Enter | None = None) -> Position | None:
        """Return once the other side delivers a channel, with the point from which it does where that is known.

        Args:
            channel: which.
            request: what asks for it and for something more; for where `are_sent` and the link has room.

        Raises:
            Unanswered: it did not say so in time.
            Unavailable: the other side is gone for good.
        """
        self.channels.add(channel)
        pending: PendingRequest | None = None
        is_stranded = False
        if not self._changes:
            try:
                pending = self._link.ask(request or m.ChangeSubscriptions([channel], []))
            except Unavailable:
                if self._link.severed:
                    raise
        if pending is None:
            self._changes[channel] = True
        else:
            try:
                await pending
            except LinkLost:
                if self._link.severed:
                    raise
                is_stranded = True
            except Unanswered:
                raise self._overdue() from None
            else:
                return m.decode_positions(pending.answer)[0]
        confirmed = Waiter()
        (self._stranded if is_stranded else self._waiting).append(confirmed)
        await own_task()
        try:
            async with asyncio.timeout(self._deadline):
                await confirmed
        except TimeoutError:
            raise self._overdue() from None
        return None

    def _overdue(self) -> Unanswered:
        why = f"the parent process did not confirm a subscription within {self._deadline:g} s"
        self._on_lost(why)
        return Unanswered(why)

    def discard(self, channel: str) -> None:
        """Want a channel no longer."""
        self.channels.discard(channel)
        if self._changes or not self._link.tell(m.ChangeSubscriptions([], [channel])):
            self._changes[channel] = False

    def flush(self) -> None:
        """Send what could not be sent before; it waits on where there is still no room."""
        if not self._changes:
            return
        wanted = [channel for channel, wanted in self._changes.items() if wanted]
        unwanted = [channel for channel, wanted in self._changes.items() if not wanted]
        try:
            pending = self._link.ask(m.ChangeSubscriptions(wanted, unwanted))
        except Unavailable:
            return
        waiting, self._waiting, self._changes = self._waiting, [], {}
        pending.go_on = partial(self._confirm, pending, waiting)

    def resume(self) -> None:
        """The other side has been told of all `channels` anew."""
        stranded, self._stranded = self._stranded, []
        _resolve(stranded)
        self.flush()

    def _confirm(self, pending: PendingRequest, waiting: list[Waiter]) -> None:
        if (error := pending.exception()) is None:
            _resolve(waiting)
        else:
            self._stranded += waiting
            self._on_lost(str(error))


def _resolve(waiting: list[Waiter]) -> None:
    for waiter in waiting:
        waiter.end(None)  # the caller may have given up
