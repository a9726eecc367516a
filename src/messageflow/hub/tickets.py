"""Tickets: tokens for one event stream, which travel in its address because an `EventSource` sends no header.

An address ends up in logs, so a ticket is good for a moment and once, over all nodes. Its own stream may come back with
it, for whoever holds an id of that stream has had it.

Source: docs/event-streams.md, "Tickets".
"""

from __future__ import annotations

from messageflow.core.claims import ConnectionClaims
from messageflow.core.protocol import ConnectRequest
from messageflow.errors import TokenError, TokenReason
from messageflow.hub.services import Services

KEY = "ticket "  # before the name of a ticket, among what is reserved of its user


class TicketConnect(ConnectRequest, frozen=True):
    """A connect with a ticket in the place of a token. Never decoded: an endpoint makes it of a request.

    Args:
        ticket: as it came.
        resumed: whether it came with the proof that it has opened its stream before.
    """

    ticket: str = ""
    resumed: bool = False


async def redeem(services: Services, request: TicketConnect) -> ConnectionClaims:
    """Return what a ticket says, and let it open no other stream.

    Raises:
        TokenError: it is not good, or has opened a stream.
        BrokerError: nobody can tell.
    """
    claims = services.verifier.ticket(request.ticket, services.runtime.wall(), resumed=request.resumed)
    if request.resumed:
        return claims
    key = KEY + claims.token
    found = await services.broker.reserve(claims.user, key)
    if found.state != "mine":
        raise TokenError("the ticket has opened a stream already", TokenReason.USED)
    await services.broker.settle(claims.user, key, b"")
    return claims
