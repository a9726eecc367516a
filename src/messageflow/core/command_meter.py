"""The meter that holds a client to its share of commands: an average with room for a burst.

Pure: time is an argument.
"""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """What to do with one more command."""

    ACCEPT = "accept"
    REFUSE = "refuse"  # with error 111: the client may try again
    DISCONNECT = "disconnect"  # with 3013: it does not listen to refusals


_ACCEPT = Verdict.ACCEPT
ROUNDING = 1e-3  # of a command; what is added up is not exact


class CommandMeter:
    """A token bucket for each connection: an average rate with room for a burst.

    The room is large because a page that comes back subscribes to all its channels at once, see `Limits.burst`. What is
    remembered of a connection is one number, when its bucket is full again: 64 bytes less than a bucket (benchmarks:
    memory). A time that has passed means that it is full.

    Args:
        rate: commands a second.
        burst: commands at once, one at least.

    Attributes:
        each: seconds after a command until its bucket is full, where it was full before.
    """

    __slots__ = ("_burst", "_rate", "each")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self.each = 1 / rate

    def take(self, full_at: float, now: float) -> tuple[Verdict, float]:
        """Count one command of a connection. Refused ones count too; a burst's worth of refusals ends it.

        Args:
            full_at: when its bucket would have been full.
            now: monotonic seconds.

        Returns:
            What to do with the command, and when the bucket will be full.
        """
        full_at = (full_at if full_at > now else now) + self.each
        tokens = self._burst - (full_at - now) * self._rate + ROUNDING
        if tokens >= 0:
            return _ACCEPT, full_at
        return (Verdict.REFUSE if tokens > -self._burst else Verdict.DISCONNECT), full_at
