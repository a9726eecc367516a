"""The table of renderings: what `?as=` may say. To add one, add a line."""

from __future__ import annotations

from typing import Final

from messageflow.dialects.html.datastar import DATASTAR
from messageflow.dialects.html.htmx2 import HTMX2
from messageflow.dialects.html.htmx4 import HTMX4
from messageflow.dialects.html.rendering import Rendering
from messageflow.dialects.html.turbo import TURBO

RENDERINGS: Final[dict[str, Rendering]] = {each.name: each for each in (HTMX2, HTMX4, TURBO, DATASTAR)}


def find_rendering(name: str) -> Rendering:
    """Return how a library is told.

    Raises:
        ValueError: none is called so; the message says which there are.
    """
    found = RENDERINGS.get(name)
    if found is None:
        raise ValueError(f"{name!r} is no library that is known here: write one of {', '.join(RENDERINGS)}")
    return found
