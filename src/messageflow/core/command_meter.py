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


class CommandMeter:
    """A token bucket: an average rate with room for a burst.

    The room is large because a page that comes back subscribes to all its channels at once, see `Limits.burst`.

    Args:
        rate: commands a second.
        burst: commands at once.
        now: monotonic seconds.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float) -> Verdict:
        """Count one command. Refused ones count too; a burst's worth of refusals ends the connection."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - 1
        self._at = now
        if self._tokens >= 0:
            return _ACCEPT
        return Verdict.REFUSE if self._tokens > -self._burst else Verdict.DISCONNECT
