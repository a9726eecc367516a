"""Which broker is asked for, and what brokers may be told, each told what it can use: the one place of these defaults.

What a name asks for: `core.broker_kinds`; what makes the broker of these options: `gateway.broker_choice`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from messageflow.core.broker_kinds import find_broker_kind
from messageflow.core.setting_kinds import (
    SECRET_MARK,
    Duration,
    Kind,
    Section,
    Size,
    Switch,
    Text,
    choice,
    read_text,
)


def _read_name(value: object) -> str:
    text = read_text(value)
    if find_broker_kind(text) is None:
        raise ValueError("no broker")
    return text


BROKER = Kind(
    "broker",
    'embedded, memory, or the URL of a Redis or Valkey such as "redis://localhost:6379"; of shards apart by spaces; '
    "what is special in a password is percent-encoded",
    _read_name,
    metavar="embedded|memory|URL",
)

BrokerName = Annotated[str, BROKER, SECRET_MARK]


class BrokerOptions(Struct, frozen=True, kw_only=True):
    """How streams are kept: each field is a setting of the gateway; the brokers' own arguments have its defaults."""

    broker: Annotated[
        BrokerName,
        Section.STREAMS,
        Meta(
            description="what keeps the streams: embedded, in memory and in a file of `data_dir`, so that they outlive "
            "the gateway; memory keeps nothing over a restart; the URL of a Redis or Valkey, so that gateways on many "
            "machines are one"
        ),
    ] = "embedded"
    broker_prefix: Annotated[
        Text,
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
    broker_start_timeout: Annotated[
        Duration,
        Meta(
            description="time a start waits for a Redis that cannot be reached yet, trying again and again; then it "
            "ends with 1. 0 tries once"
        ),
    ] = 30.0
    stream_disk: Annotated[
        Size, Meta(ge=1024**2, description="room in the file for the streams of all channels; the longest give way")
    ] = 4 * 1024**3
    reset_damaged: Annotated[
        Switch,
        Meta(description="when the file is damaged, set it aside and begin anew, instead of refusing to start"),
    ] = False
    idempotency_window: Annotated[Duration, Meta(description="time an idempotency key is remembered")] = 600.0


DEFAULTS = BrokerOptions()
