"""Joining a stream that is moving: history and live publications become one run without gap or duplicate.

A reader registers first, so that nothing published from then on can escape; live publications are kept aside while
the history is read; then both are merged by offset, and the reader goes live at a known position. Either the run is
whole or the reader is told that it is not; it is never thinned.

Pure: values in, values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from messageflow.core.stream import Publication


def merge(
    history: Sequence[Publication], aside: Iterable[Publication], *, after: int, until: int
) -> list[Publication] | None:
    """Return the publications with offsets `after` + 1 to `until`, each once and in order.

    Args:
        history: what the history gave, oldest first.
        aside: what arrived live meanwhile, in any overlap with the history.
        after: the offset the reader has.
        until: the offset up to which live delivery has gone; everything above it will reach the reader live.

    Returns:
        The run, or None when a publication in it is missing from both.
    """
    found = {p.offset: p for p in history if after < p.offset <= until}
    for publication in aside:
        if after < publication.offset <= until:
            found[publication.offset] = publication
    if len(found) != max(until - after, 0):
        return None
    return [found[offset] for offset in range(after + 1, until + 1)]
