"""What to do with a command that a server of a Cluster did not carry out, since its slot is elsewhere or on its way.

Pure; one policy for gateways and flows. A slot that has moved is followed at once. While it moves, what announces
nothing follows, too, but what announces waits: gateways hear the slot at the old server until the move is over, so an
announcement at the new one would reach no subscriber. Which words say so: `connections.resp.NOT_HERE`, for who only
hears needs them, too; one that is not treated here is waited for.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from messageflow.brokers.redis.connections.resp import NOT_HERE, ErrorReply, Parts
from messageflow.brokers.redis.connections.url import Address
from messageflow.errors import Unavailable

MOST_REDIRECTS = 5  # of one command in a row, before something must be wrong
ASKING: Parts = ("ASKING",)  # goes before a command that follows a slot on its way


class Then(Enum):
    """What to do next."""

    FOLLOW = "the slot has moved: ask there, and read the map again"
    FOLLOW_ONCE = "the slot is on its way: ask there, after ASKING"
    WAIT = "read the map again, and ask where the slot is then"


class Redirect(NamedTuple):
    """What to do, and at which server where it is known."""

    then: Then
    address: Address | None = None


def read_redirect(reply: Any, *, announces: bool, host: str) -> Redirect | None:
    """Return what to do about a reply; None where the command was carried out, or refused for another reason.

    Args:
        reply: to the command.
        announces: whether the command announces something.
        host: of the server that gave the reply, which may leave out its own.
    """
    if isinstance(reply, Unavailable):
        return Redirect(Then.WAIT)
    if not isinstance(reply, ErrorReply) or reply.word not in NOT_HERE:
        return None
    if reply.word == "MOVED":
        return Redirect(Then.FOLLOW, _read_address(reply.text, host))
    if reply.word == "ASK" and not announces:
        return Redirect(Then.FOLLOW_ONCE, _read_address(reply.text, host))
    return Redirect(Then.WAIT)


def _read_address(text: str, asked: str) -> Address:
    host, _, port = text.split(" ")[2].rpartition(":")
    return Address(host or asked, int(port))
