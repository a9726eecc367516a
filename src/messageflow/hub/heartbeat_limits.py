"""How often connections are pinged, and how long silence is borne."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Duration, Section


class HeartbeatLimits(Struct, frozen=True, kw_only=True):
    """The times of `hub.heartbeat`, in seconds. What is annotated with a kind is a setting."""

    ping_interval: Annotated[Duration, Section.LIFE, Meta(ge=1, description="time between pings of the gateway")] = 15.0
    pong_timeout: Annotated[Duration, Meta(ge=0.1, description="time a client has to answer a ping (3012)")] = 10.0
    connect_timeout: Annotated[
        Duration, Meta(ge=0.1, description="time a connection has to send its connect command (3502)")
    ] = 10.0
