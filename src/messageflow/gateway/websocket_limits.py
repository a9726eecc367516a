"""What one WebSocket may send, how much may wait to be sent to it, and whether that is compressed."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Section, Size, Switch, Whole


class WebSocketLimits(Struct, frozen=True, kw_only=True):
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
    compression: Annotated[
        Switch,
        Meta(
            description="compress what is published for WebSockets that take it (permessage-deflate), once for all of "
            "a channel; never in a namespace with `compress = false` (docs/economy.md)"
        ),
    ] = False
    compression_min_size: Annotated[
        Size, Meta(description="messages below this are sent as they are, where `compression` is on")
    ] = 256
