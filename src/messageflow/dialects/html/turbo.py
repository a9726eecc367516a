"""Turbo Streams: an unnamed event is a `<turbo-stream>`; a page that missed something refreshes itself.

Source: @hotwired/turbo 8.0.23.
"""

from __future__ import annotations

from typing import Final

from messageflow.core.html_push import REMOVE, HtmlPush
from messageflow.dialects.html.rendering import MARK, PageEvent, Rendering, quote

_ACTIONS: Final = {
    "inner": "update",
    "outer": "replace",
    "append": "append",
    "prepend": "prepend",
    "before": "before",
    "after": "after",
    "remove": "remove",
}


class _Turbo:
    name = "turbo"
    refresh = PageEvent("", '<turbo-stream action="refresh"></turbo-stream>')
    close = PageEvent("", f'<turbo-stream action="remove" targets="turbo-stream-source[{MARK}]"></turbo-stream>')

    def patch(self, push: HtmlPush) -> PageEvent:
        content = "" if push.swap == REMOVE else f"<template>{push.html}</template>"
        action, targets = _ACTIONS[push.swap], quote(push.target)
        return PageEvent("", f'<turbo-stream action="{action}" targets={targets}>{content}</turbo-stream>')

    def element(self, url: str) -> str:
        return f"<turbo-stream-source src={quote(url)} {MARK}></turbo-stream-source>"


TURBO: Final[Rendering] = _Turbo()
