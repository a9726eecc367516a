"""When a publication is sent as what changed since the one before: where that is shorter, and the other was read.

Pure. How a change is written is `core.fossil`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from messageflow.core.fossil import create
from messageflow.core.opaque_bytes import is_wrapped
from messageflow.core.stream import DELTA, SECRET, Publication

DeltaType = Literal["fossil"]

Base = tuple[int, bytes]  # the offset and the data of what a reader was sent last


def make_patch(before: bytes, data: bytes) -> bytes | None:
    """Return what makes `data` of `before`, None where that is no shorter than `data`.

    None also where either is bytes that are no JSON, which readers have as they are or as JSON.
    """
    if is_wrapped(before) or is_wrapped(data):
        return None
    patch = create(before, data)
    return patch if len(patch) < len(data) else None


def list_patches(published: Iterable[tuple[bytes, bool]]) -> list[bytes | None]:
    """Return, of what is sent one after the other, what each changes: the first is whole (None).

    Args:
        published: the data of each, and whether it is secret.
    """
    changes = [
        None if was_secret or is_secret else make_patch(before, data)
        for (before, was_secret), (data, is_secret) in pairwise(published)
    ]
    return [None, *changes]


def list_live_patches(
    base: Base | None, publications: Sequence[Publication], *, always: bool
) -> tuple[list[bytes | None], Base | None]:
    """Return the same for those who read on from `base`, and what the next publication can be made of.

    A patch leads from one offset to the next. What is not kept has none, and who comes from the history never sees it:
    it is whole, and so is what follows it. The same holds of what is secret, for how long a patch is tells of both.

    Args:
        base: what all were sent last; None where that is not known.
        publications: what they are sent now.
        always: whether also those are patches that were not published to be.
    """
    patches: list[bytes | None] = []
    for each in publications:
        offset, data, flags = each.offset, each.data, each.flags
        asked = (always or flags & DELTA) and not flags & SECRET
        follows = base is not None and offset == base[0] + 1
        patches.append(make_patch(base[1], data) if base is not None and follows and asked else None)
        base = (offset, data) if offset and not flags & SECRET else None
    return patches, base
