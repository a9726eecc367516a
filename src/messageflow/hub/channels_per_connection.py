"""The cap on channels of one connection: of those that its client asks for, and of those that its token names.

Owns the two refusals. Counts nothing: a session knows what it holds.
"""

from __future__ import annotations

from collections.abc import Sized

from messageflow.core.codes import LIMIT_EXCEEDED, CommandRefused
from messageflow.errors import TokenError, TokenReason
from messageflow.hub.limits import Limits
from messageflow.hub.session import Session


def check_one_more(limits: Limits, session: Session) -> None:
    """Refuse a channel to a session that holds all it may.

    Raises:
        CommandRefused: it does.
    """
    if len(session.subscriptions) >= limits.channels_per_connection:
        raise CommandRefused(LIMIT_EXCEEDED)


def check_granted(limits: Limits, channels: Sized) -> None:
    """Refuse a token that names more channels than a connection may hold.

    Raises:
        TokenError: it does.
    """
    if len(channels) > limits.channels_per_connection:
        detail = "the token grants more channels than a connection may hold"
        raise TokenError(detail, TokenReason.TOO_MANY_CHANNELS)
