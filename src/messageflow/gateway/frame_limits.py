"""What one WebSocket may send, and how much may wait to be sent to it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Section, Size, Whole


class FrameLimits(Struct, frozen=True, kw_only=True):
    """The limits of one WebSocket. What is annotated with a kind is a setting."""

    message_size_limit: Annotated[
        Size,
        Section.LIMITS,
        Meta(
            description="largest message a client may send (1009); 0 is 1KiB for each of `channels_per_connection`, so "
            "that a page that comes back subscribes to all in one, and at least twice `payload_size_limit` and 64KiB"
        ),
    ] = 0
    fragments_limit: Annotated[Whole, Meta(ge=1, description="most frames one message may be split into")] = 64
    buffer_high_water: Annotated[
        Size, Meta(ge=1024, description="bytes waiting for a slow reader before it waits for room and catches up")
    ] = 128 * 1024
