"""What one client may cost: the caps of the hub, and what follows from them.

Times and caps of one part of the hub stand in a module beside it, and are nested here.

Pure.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Duration, Section, Size, Whole
from messageflow.hub.heartbeat_limits import HeartbeatLimits
from messageflow.hub.history_limits import HistoryLimits
from messageflow.hub.hook_limits import HookLimits


class Limits(Struct, frozen=True, kw_only=True):
    """Caps, each in what it says. What is annotated with a kind is a setting of the gateway."""

    heartbeat: HeartbeatLimits = HeartbeatLimits()
    hooks: HookLimits = HookLimits()
    history: HistoryLimits = HistoryLimits()
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
    readers_behind: Annotated[
        Duration,
        Meta(
            description="time that half of 100 or more readers of a channel may need for what they have before them; "
            "beyond it a publish there waits for them, up to 3 s; 0 lets none wait"
        ),
    ] = 0.5
    inbox: int = 256  # commands waiting in one connection before reading from it pauses

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
