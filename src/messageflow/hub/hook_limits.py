"""How long the application's hooks may take, and how many may run at once."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Duration, Section, Whole


class HookLimits(Struct, frozen=True, kw_only=True):
    """The limits of `hub.hook_calls`. What is annotated with a kind is a setting."""

    hook_timeout: Annotated[
        Duration,
        Section.HOOKS,
        Meta(gt=0, description="time a hook has to answer, waiting for its turn included"),
    ] = 5.0
    hook_concurrency: Annotated[
        Whole, Meta(ge=1, description="calls of each kind of hook a worker makes at once; others wait in line")
    ] = 64
