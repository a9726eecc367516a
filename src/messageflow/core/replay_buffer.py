"""Publications kept by a worker for a while because somebody will need them soon, within a bound.

What is over the bound goes, the oldest first: the history has it.
"""

from __future__ import annotations

from messageflow.core.stream import Publication

KEPT_BYTES = 4 << 20


class ReplayBuffer:
    """Publications by offset, of one epoch, about `KEPT_BYTES` of them at most."""

    __slots__ = ("_by_offset", "_bytes", "epoch")

    def __init__(self) -> None:
        self.epoch = ""
        self._by_offset: dict[int, Publication] = {}
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._by_offset)

    def put(self, epoch: str, publication: Publication) -> None:
        """Keep one. What is here of another epoch is of no use any more."""
        if epoch != self.epoch:
            self.epoch, self._bytes = epoch, 0
            self._by_offset.clear()
        if publication.offset not in self._by_offset:
            self._by_offset[publication.offset] = publication
            self._bytes += publication.cost
        while self._bytes > KEPT_BYTES:
            self.pop(next(iter(self._by_offset)))

    def pop(self, offset: int) -> Publication | None:
        """Take one out."""
        publication = self._by_offset.pop(offset, None)
        if publication is not None:
            self._bytes -= publication.cost
        return publication

    def forget(self, until: int) -> None:
        """Drop those up to an offset."""
        for offset in [offset for offset in self._by_offset if offset <= until]:
            self.pop(offset)

    def list_between(self, after: int, until: int) -> list[Publication]:
        """Return those that are here of the offsets `after` + 1 to `until`, in order."""
        found = self._by_offset
        if until - after > len(found):
            return [found[offset] for offset in sorted(found) if after < offset <= until]
        return [found[offset] for offset in range(after + 1, until + 1) if offset in found]
