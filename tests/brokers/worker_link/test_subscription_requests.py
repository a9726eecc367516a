"""What a worker subscribes to reaches the other side in the order in which it was wanted."""

from __future__ import annotations

import asyncio
from typing import cast

from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.parent_link import ParentLink, PendingRequest
from messageflow.brokers.worker_link.subscription_requests import SubscriptionRequests
from messageflow.core.stream import Position
from messageflow.errors import Unavailable


class Link:
    """A link with room, or without."""

    severed = ""

    def __init__(self) -> None:
        self.room = True
        self.sent: list[m.Request] = []
        self.pending: list[PendingRequest] = []

    def ask(self, request: m.Request) -> PendingRequest:
        if not self.room:
            raise Unavailable("no room")
        self.sent.append(request)
        self.pending.append(PendingRequest())
        return self.pending[-1]

    def tell(self, request: m.Request) -> bool:
        if self.room:
            self.sent.append(request)
        return self.room

    def answer(self) -> None:
        pending, request = self.pending.pop(0), self.sent[-1]
        assert isinstance(request, m.ChangeSubscriptions)
        pending.answer = m.encode([Position("e", 1)] * len(request.wanted))
        pending.end(None)


async def test_changes_that_wait_for_room_are_not_overtaken() -> None:
    link = Link()
    requests = SubscriptionRequests(cast(ParentLink, link), 5, lambda why: None)
    link.room = False
    adding = asyncio.ensure_future(requests.add("x"))
    await asyncio.sleep(0)
    requests.flush()  # and still there is none
    link.room = True
    requests.discard("x")
    requests.discard("y")
    again = asyncio.ensure_future(requests.add("x"))
    await asyncio.sleep(0)
    assert link.sent == []
    requests.flush()
    assert link.sent == [m.ChangeSubscriptions(["x"], ["y"])]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(each.done() for each in (adding, again))  # a subscription stands once it is answered
    link.answer()
    assert await adding is None
    assert await again is None
    assert requests.channels == {"x"}


async def test_with_room_a_change_is_sent_where_it_is_made_and_the_answer_says_where_the_channel_stands() -> None:
    link = Link()
    requests = SubscriptionRequests(cast(ParentLink, link), 5, lambda why: None)
    adding = asyncio.ensure_future(requests.add("x"))
    await asyncio.sleep(0)
    assert link.sent == [m.ChangeSubscriptions(["x"], [])]
    link.answer()
    assert await adding == Position("e", 1)
    requests.discard("x")
    assert link.sent[1:] == [m.ChangeSubscriptions([], ["x"])]
