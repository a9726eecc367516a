"""How much history is given out at once, and how fast."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Section, Size, Whole


class HistoryLimits(Struct, frozen=True, kw_only=True):
    """The limits of recoveries, catch-up and history replies. What is annotated with a kind is a setting."""

    history_limit: Annotated[
        Whole, Section.STREAMS, Meta(ge=1, description="most publications one history reply or one recovery carries")
    ] = 300
    recovery_rate: Annotated[
        Size, Meta(description="bytes of history a worker gives out a second, to all clients together; 0 is no limit")
    ] = 64 * 1024**2
    chunk_bytes: int = 262_144  # bytes of publications in one reply or one chunk of a recovery
