"""What one client may cost: the caps of the hub, and what follows from them.

Pure.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Duration, Section, Size, Whole


class Limits(Struct, frozen=True, kw_only=True):
    """Caps and times, each in what it says. What is annotated with a kind is a setting of the gateway."""

    # Life of a connection
    ping_interval: Annotated[Duration, Section.LIFE, Meta(ge=1, description="time between pings of the gateway")] = 15.0
    pong_timeout: Annotated[Duration, Meta(ge=0.1, description="time a client has to answer a ping (3012)")] = 10.0
    connect_timeout: Annotated[
        Duration, Meta(ge=0.1, description="time a connection has to send its connect command (3502)")
    ] = 10.0

    # What a client may cost
    payload_size_limit: Annotated[
        Size,
        Section.LIMITS,
        Meta(
            ge=1024,
            description="largest publication: data and tags over the HTTP API (413), data and the client's info over "
            "a WebSocket (106)",
        ),
    ] = 65536
    commands_per_second: Annotated[
        Whole,
        Meta(
            description="commands one connection may send a second on average; at once five times that, at least 300, "
            "and always twice `channels_per_connection` and 100 more; 0 is no limit"
        ),
    ] = 50
    channels_per_connection: Annotated[Whole, Meta(ge=1, description="channels one connection may hold")] = 128
    connections_per_user: Annotated[
        Whole, Meta(description="connections one user may hold on a worker (3404, come back later); 0 is no limit")
    ] = 50
    unauthenticated_per_address: Annotated[
        Whole, Meta(description="connections one address may hold before they authenticate; 0 is no limit")
    ] = 200
    buffer_memory: Annotated[
        Size,
        Meta(
            ge=1024**2,
            description="bytes that may wait for all slow readers of a worker together, what they share counted once; "
            "beyond it those with the most are disconnected and resume later (3008)",
        ),
    ] = 256 * 1024**2
    inbox: int = 256  # commands waiting in one connection before reading from it pauses

    # Hooks of the application
    hook_timeout: Annotated[
        Duration,
        Section.HOOKS,
        Meta(gt=0, description="time a hook has to answer, waiting for its turn included"),
    ] = 5.0
    hook_concurrency: Annotated[
        Whole, Meta(ge=1, description="calls of each kind of hook a worker makes at once; others wait in line")
    ] = 64

    # History that is given out
    history_limit: Annotated[
        Whole, Section.STREAMS, Meta(ge=1, description="most publications one history reply or one recovery carries")
    ] = 300
    recovery_rate: Annotated[
        Size, Meta(description="bytes of history a worker gives out a second, to all clients together; 0 is no limit")
    ] = 64 * 1024**2
    chunk_bytes: int = 262_144  # bytes of publications in one reply or one chunk of a recovery

    @property
    def burst(self) -> int:
        """Commands that a connection may send at once: enough to subscribe, twice, to all that it may hold."""
        return max(round(5 * self.commands_per_second), 300, 2 * self.channels_per_connection + 100)

    @property
    def commands_in_frame(self) -> int:
        """Commands in one message beyond which it is not even read: such a client does not listen to refusals."""
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
