"""What brokers may be told, each told what it can use: the one place of these defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Duration, Section, Size, Switch, Text, choice


class BrokerOptions(Struct, frozen=True, kw_only=True):
    """How streams are kept: each field is a setting of the gateway, and the default of the brokers' own argument."""

    broker_prefix: Annotated[
        Text,
        Section.STREAMS,
        Meta(description="what the names of all keys in Redis begin with; one for each gateway that shares it"),
    ] = "messageflow"
    ack: Annotated[
        Literal["os", "disk"],
        choice("os", "disk"),
        Meta(
            description="when a push is answered: os once the operating system has it, which outlives the gateway; "
            "disk once it is synced, which outlives a power cut"
        ),
    ] = "os"
    stream_memory: Annotated[Size, Meta(ge=1024**2, description="memory for the streams of all channels")] = (
        256 * 1024**2
    )
    broker_deadline: Annotated[
        Duration, Meta(gt=0, description="time Redis has to answer; a call that takes longer fails")
    ] = 5.0
    stream_disk: Annotated[
        Size, Meta(ge=1024**2, description="room in the file for the streams of all channels; the longest give way")
    ] = 4 * 1024**3
    reset_damaged: Annotated[
        Switch,
        Meta(description="when the file is damaged, set it aside and begin anew, instead of refusing to start"),
    ] = False
    idempotency_window: Annotated[Duration, Meta(description="time an idempotency key is remembered")] = 600.0


DEFAULTS = BrokerOptions()
