"""What one client may cost: the caps of the hub, and the meter that holds a client to its share of commands.

Pure: time is an argument.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """Caps and times. Seconds, bytes or counts as each says."""

    ping_interval: float = 15.0  # seconds between pings to a client
    pong_timeout: float = 10.0  # seconds a client has to answer one
    connect_timeout: float = 10.0  # seconds from the handshake to the connect command
    commands_per_second: float = 50.0  # of one connection, on average
    channels_per_connection: int = 128
    connections_per_user: int = 20  # 0: no cap
    unauthenticated_per_address: int = 200  # connections that have not authenticated yet
    inbox: int = 256  # commands waiting in one connection before reading from it pauses
    history_limit: int = 300  # publications in one reply or one chunk of a recovery
    chunk_bytes: int = 262_144  # bytes of publications in one reply or one chunk
    buffer_memory: int = 256 << 20  # bytes that may wait in the buffers of all connections together
    recovery_rate: int = 64 << 20  # bytes of history given out a second, to all together; 0: no cap
    publication_bytes: int = 65_536  # of what a client publishes: data and info
    hook_timeout: float = 5.0  # seconds that a hook of the application may take, waiting for a place included
    hook_concurrency: int = 64  # calls of each kind of hook at once

    @property
    def burst(self) -> int:
        """Commands that a connection may send at once: enough to subscribe, twice, to all that it may hold."""
        return max(round(5 * self.commands_per_second), 300, 2 * self.channels_per_connection + 100)

    @property
    def commands_in_frame(self) -> int:
        """Commands in one message beyond which it is not even read: who sends them does not listen to refusals."""
        return 2 * self.burst


FRAME_BYTES_A_CHANNEL = 512  # of a message that subscribes, with a position, to all that a connection may hold
TOKEN_BYTES_A_CHANNEL = 512  # more, where each of them takes a token
LEAST_MESSAGE = 65_536


def message_size(channels: int, payload: int) -> int:
    """Return the bytes a message may have.

    Args:
        channels: to so many a client that comes back subscribes in one message.
        payload: bytes of a publication. One that is not much larger is still refused by itself.
    """
    return max(LEAST_MESSAGE, (FRAME_BYTES_A_CHANNEL + TOKEN_BYTES_A_CHANNEL) * channels, 2 * payload)


class Verdict(Enum):
    """What to do with one more command."""

    ACCEPT = "accept"
    REFUSE = "refuse"  # with error 111: the client may try again
    DISCONNECT = "disconnect"  # with 3013: it does not listen to refusals


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
            return Verdict.ACCEPT
        return Verdict.REFUSE if self._tokens > -self._burst else Verdict.DISCONNECT
