"""How a session comes into a channel from which it asked for deltas: as any other, but for what is in its answer."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Raw
from msgspec.structs import replace

from messageflow.brokers.base import HistoryPart
from messageflow.core.deltas import Base, list_patches
from messageflow.core.protocol import PublicationView, SubscribeResult
from messageflow.core.stream import SECRET, Publication
from messageflow.hub.recovery import Recovery


class DeltaRecovery(Recovery):
    """A `Recovery` whose answer says that publications come as deltas, and has the missed ones so."""

    _base: Base | None = None  # what the answer ended with
    _secret: frozenset[int] = frozenset()  # the offsets of those in the answer that no patch may tell of

    def _collect_missed(self, history: HistoryPart) -> list[Publication] | None:
        missed = super()._collect_missed(history)
        self._secret = frozenset([each.offset for each in missed or () if each.flags & SECRET])
        return missed

    def complete(self) -> SubscribeResult:
        result = super().complete()
        missed = result.publications
        if missed and missed[-1].offset not in self._secret:
            self._base = missed[-1].offset, bytes(missed[-1].data)
        return replace(result, publications=_change(missed, self._secret), delta=True)

    def go_live(self) -> None:
        stands = self.subscription.behind or self.channel.position
        base = self._base
        if base is not None and (stands is None or stands.offset != base[0] or self._moved is not None):
            base = None
        self.channel.send_deltas(self._session, base)
        super().go_live()


def _change(views: list[PublicationView], secret: Collection[int]) -> list[PublicationView]:
    """Return the same publications, the first whole and each that follows as a patch where that is shorter."""
    patches = list_patches((bytes(each.data), each.offset in secret) for each in views)
    return [
        each if patch is None else replace(each, data=Raw(patch), delta=True)
        for each, patch in zip(views, patches, strict=False)  # of none there is a first all the same
    ]
