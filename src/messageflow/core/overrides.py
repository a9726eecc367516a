"""Options of one subscription that differ from those of its namespace: which there are, once for all who say them.

A token says them in claims, the server API in a call, the hub holds them plain. Pure.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

V = TypeVar("V")


class Overridable(Struct, Generic[V], frozen=True, kw_only=True):
    """What may be set for one subscription; None: as its namespace has it.

    Args:
        presence: whether it is in presence.
        join_leave: whether its joins and leaves are published.
        force_recovery: whether it recovers whatever it asks for.
        force_positioning: whether its position is watched.
        force_push_join_leave: whether joins and leaves of others are pushed to it.
    """

    presence: V | None = None
    join_leave: V | None = None
    force_recovery: V | None = None
    force_positioning: V | None = None
    force_push_join_leave: V | None = None

    def overrides(self) -> dict[str, V]:
        """Return what is set, by name."""
        return {name: value for name in NAMES if (value := getattr(self, name)) is not None}


NAMES = Overridable.__struct_fields__
