"""The contract of a rendering: how one library of the browser is told what to do with a page.

A new one is a module of its own and a line in `dialects.html.renderings`. Pure.
"""

from __future__ import annotations

from html import escape
from typing import NamedTuple, Protocol

from messageflow.core.html_push import HtmlPush

MARK = "data-messageflow"  # has the element of each stream, by which it is found


class PageEvent(NamedTuple):
    """An event of a stream.

    Args:
        name: of its kind; empty for what `onmessage` gets.
        data: of any number of lines.
    """

    name: str
    data: str


class Rendering(Protocol):
    """One library. Whatever is put into markup here is escaped here, but for HTML that was pushed."""

    @property
    def name(self) -> str:
        """What a stream is asked for by: `?as=…`."""

    @property
    def refresh(self) -> PageEvent:
        """Lets a page that missed something fetch itself anew, as the library does it."""

    @property
    def close(self) -> PageEvent:
        """Lets a page close its stream, and not come back."""

    def patch(self, push: HtmlPush) -> PageEvent:
        """Put HTML where it belongs."""

    def element(self, url: str) -> str:
        """Return what stands in a page that listens.

        Args:
            url: of its stream.
        """


def quote(text: str) -> str:
    """Return the value of an attribute, within quotes."""
    return f'"{escape(text)}"'
