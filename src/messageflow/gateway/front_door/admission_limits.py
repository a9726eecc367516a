"""How many may be connected, and how many may be coming in at once."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Section, Whole


class AdmissionLimits(Struct, frozen=True, kw_only=True):
    """The limits of `Admission`: each is a setting."""

    connections_limit: Annotated[
        Whole,
        Section.LIMITS,
        Meta(
            description="connections a worker takes; 0 is as many as the limit of open files allows, see docs/limits.md"
        ),
    ] = 0
    arrivals_limit: Annotated[
        Whole,
        Meta(
            description="connections that may be coming in at once, from the handshake to the answer of their connect "
            "command; beyond it 503 with `Retry-After`; 0 is no limit"
        ),
    ] = 5000
