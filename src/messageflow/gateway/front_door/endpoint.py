"""The contract between a connection and what answers its requests.

A request belongs to one endpoint, from its head to the end of both its body and its answer; only then is the next one
looked at. So an endpoint never orders answers, and never sees two requests of one connection at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.response import HttpResponse


class EndpointConnection(Protocol):
    """An HTTP connection, as endpoints see it.

    Attributes:
        keep_alive: whether it stays after this answer; an endpoint may say no, never yes.
        write_paused: whether the peer takes less than is written.
        backstage: what an endpoint keeps here from one of its requests to the next; told of the end as an exchange is.
        transport: of the socket; written to directly only by who begins an answer that `finish` ends.
    """

    keep_alive: bool
    write_paused: bool
    backstage: Exchange | None
    transport: asyncio.Transport

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port at the other end; without either when it is gone already."""

    @property
    def pending(self) -> int:
        """The bytes behind the head that have come already."""

    @property
    def body_is_due(self) -> bool:
        """Whether more of the request is to come."""

    @property
    def is_over(self) -> bool:
        """Whether nothing can be answered any more."""

    def send(self, response: HttpResponse) -> None:
        """Write an answer; `finish` has to follow."""

    def finish(self) -> None:
        """The answer is written: the next request may come. A body that goes on is read and thrown away."""

    def answer(self, response: HttpResponse) -> None:
        """Write an answer, and be done with the request."""

    def close(self, *, unread: bool = False) -> None:
        """Close once what was written is out; `unread` when the peer may still be sending."""

    def hold(self, on: bool) -> None:
        """Read no more of the body for now, or go on."""

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Give the transport to a protocol that is connected to it, with what has come behind the head."""

    def run(self, answering: Coroutine[Any, Any, None]) -> None:
        """Run what answers a request, as a task only if it has to wait; the end of the gateway waits for it."""


class Exchange(Protocol):
    """A request that is being answered, as its connection sees it."""

    @property
    def has_begun(self) -> bool:
        """Whether any of the answer is written."""

    def receive(self, content: bytes) -> None:
        """Take some of the body: what is in it."""

    def end(self) -> None:
        """The request is whole. Called once, unless it is never."""

    def lost(self, exc: Exception | None) -> None:
        """The connection is gone. Called once, and nothing after it."""

    def pause_writing(self) -> None:
        """The peer takes less than is written."""

    def resume_writing(self) -> None:
        """The peer has taken nearly all of it."""


class DeafExchange:
    """What an exchange has in common that takes no body and does not mind how its connection fares."""

    def receive(self, content: bytes) -> None:
        """Throw it away."""

    def end(self) -> None:
        """It was not waited for."""

    def lost(self, exc: Exception | None) -> None:
        """What is being made is made to its end."""

    def pause_writing(self) -> None:
        """There is one answer, and it is written whole."""

    def resume_writing(self) -> None:
        """As above."""


class HttpEndpoint(Protocol):
    """What answers the requests for some paths."""

    def begin(self, connection: EndpointConnection, head: Head) -> Exchange | None:
        """Begin to answer a request; None when it is answered already, or the transport is another's now."""
