"""HTML that a backend pushes into pages: what it is, the words for where it goes, and what tells it from all else.

It travels as an action, `{"type": "html", "payload": {"html", "target", "swap"}}`, which any client understands. What
makes it HTML is a tag beside it: tags come from backends alone, so that data, whoever wrote it, never becomes HTML.

Pure. Source: docs/html.md.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UnsetType

from messageflow.core.protocol import PublicationView
from messageflow.core.stream import Publication

TYPE: Final = "html"
MARK: Final = {"messageflow": TYPE}  # among its tags
SWAPS: Final = ("inner", "outer", "append", "prepend", "before", "after", "remove")
INNER, OUTER, REMOVE = "inner", "outer", "remove"
_SAME: Final = {"replace": OUTER, "delete": REMOVE}


class HtmlPush(msgspec.Struct, frozen=True):
    """HTML for pages.

    Args:
        html: to be put there; empty for what is removed.
        target: a CSS selector, of one line.
        swap: one of `SWAPS`.
    """

    html: str
    target: str
    swap: str = INNER

    def __post_init__(self) -> None:
        if not self.target or any(ord(letter) < 32 for letter in self.target):
            raise ValueError("target is a CSS selector, of one line, such as '#jobs'")
        if self.swap not in SWAPS:
            raise ValueError(f"swap is one of {', '.join(SWAPS)}")


class _Tags(msgspec.Struct):
    messageflow: str | None = None


class _Pushed(msgspec.Struct):
    payload: HtmlPush


class _Named(msgspec.Struct):
    type: str


_read_tags = msgspec.json.Decoder(_Tags).decode
_read_pushed = msgspec.json.Decoder(_Pushed).decode
_read_named = msgspec.json.Decoder(_Named).decode


def read_swap(word: object) -> str:
    """Return the word for a way of putting HTML somewhere.

    Raises:
        ValueError: there is none such; the message says which there are.
    """
    found = _SAME.get(word, word) if isinstance(word, str) else word
    if found not in SWAPS:
        known = ", ".join(SWAPS)
        raise ValueError(f"swap={word!r} is not known: write {known} (or replace for outer, delete for remove)")
    return str(found)


def find_html(publication: Publication | PublicationView) -> HtmlPush | None:
    """Return the HTML that a publication is, None for what is none: what a client said never is."""
    tags, info = publication.tags, publication.info
    if not tags or info or isinstance(tags, UnsetType):
        return None
    try:
        return _read_pushed(publication.data).payload if _read_tags(tags).messageflow == TYPE else None
    except msgspec.MsgspecError:
        return None


def find_type(data: bytes) -> str:
    """Return the type of an action, empty for what is none."""
    try:
        return _read_named(data).type
    except msgspec.MsgspecError:
        return ""
