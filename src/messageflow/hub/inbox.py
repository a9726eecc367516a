"""What a client has asked for and the session has not yet looked at.

Bounded by the session that fills it, which pauses reading.
"""

from __future__ import annotations

from collections import deque

from messageflow.core.protocol import Command, FaultyCommand


class Inbox(deque[Command | FaultyCommand]):
    """The commands that wait in one session.

    Attributes:
        size: bytes of the messages in which they came, since there was none.
        since: when the first of them came.
    """

    __slots__ = ("since", "size")

    size: int
    since: float
