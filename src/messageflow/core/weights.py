"""What publications weigh on the wire: everything that is sent counts, not the data alone.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from messageflow.core.stream import Publication

ENVELOPE = 100  # bytes that a publication takes on the wire beside its data, info and tags, as pushes do


def weigh(publications: Iterable[Publication]) -> int:
    """Return about how many bytes publications take on the wire."""
    return sum([ENVELOPE + len(p.data) + len(p.info) + len(p.tags) for p in publications])


def within(publications: list[Publication], size: int | None) -> list[Publication]:
    """Return the first publications, about `size` bytes of them and at least one; all without a size."""
    return publications if size is None else chunk(publications, len(publications), size)


def chunk(publications: list[Publication], count: int, size: int) -> list[Publication]:
    """Return the first publications, at most `count` and about `size` bytes of them, and at least one."""
    first = publications[:count]
    total = weigh(first)
    while total > size and len(first) > 1:
        total -= weigh((first.pop(),))
    return first
