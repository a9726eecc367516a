"""How a session comes into a channel from which it asked for deltas: as any other, but for what is in its answer."""

from __future__ import annotations

from itertools import pairwise

from msgspec import Raw
from msgspec.structs import replace

from messageflow.core.deltas import Base, make_patch
from messageflow.core.protocol import PublicationView, SubscribeResult
from messageflow.hub.recovery import Recovery


class DeltaRecovery(Recovery):
    """A `Recovery` whose answer says that publications come as deltas, and has the missed ones so."""

    _base: Base | None = None  # what the answer ended with

    def complete(self) -> SubscribeResult:
        result = super().complete()
        missed = result.publications
        if missed:
            self._base = missed[-1].offset, bytes(missed[-1].data)
        return replace(result, publications=_change(missed), delta=True)

    def go_live(self) -> None:
        stands = self.subscription.behind or self.channel.position
        base = self._base
        if base is not None and (stands is None or stands.offset != base[0] or self._moved is not None):
            base = None
        self.channel.send_deltas(self._session, base)
        super().go_live()


def _change(views: list[PublicationView]) -> list[PublicationView]:
    """Return the same publications, the first whole and each that follows as a patch where that is shorter."""
    changed = views[:1]
    for before, each in pairwise(views):
        patch = make_patch(bytes(before.data), bytes(each.data))
        changed.append(each if patch is None else replace(each, data=Raw(patch), delta=True))
    return changed
