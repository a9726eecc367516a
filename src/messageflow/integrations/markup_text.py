"""Text that templates take as it is, whatever they are made by. Pure."""

from __future__ import annotations


class MarkupText(str):
    """Text that is markup already, as `__html__` says to templates."""

    __slots__ = ()

    def __html__(self) -> str:
        return self
