"""htmx 2 with its `sse` extension, which swaps what an event of the right name says: all targets are out of band.

Out of band, htmx puts the content of an element into the target, but for `outerHTML`, which takes the element itself.
The element around the content is one that may hold it, or the parser would drop rows and cells.

Source: htmx.org 2.0.11, htmx-ext-sse 2.2.4.
"""

from __future__ import annotations

import re
from typing import Final

from messageflow.core.html_push import OUTER, HtmlPush
from messageflow.dialects.html.htmx import CLOSE, REFRESH, STYLES
from messageflow.dialects.html.rendering import MARK, PageEvent, Rendering, quote

_AROUND: Final = {
    **dict.fromkeys(("td", "th"), "tr"),
    **dict.fromkeys(("tbody", "thead", "tfoot", "caption", "colgroup"), "table"),
    "tr": "tbody",
    "col": "colgroup",
}
# Possessive: a comment ends at the first end, or behind fifty of them and no element the search would take years.
_FIRST: Final = re.compile(r"(\s*(?:(?><!--.*?-->)\s*)*+<([A-Za-z][^\s/>]*))", re.DOTALL)
_EVENT: Final = "html"


class _Htmx2:
    name = "htmx2"
    refresh = REFRESH
    close = CLOSE

    def patch(self, push: HtmlPush) -> PageEvent:
        out_of_band = "hx-swap-oob=" + quote(f"{STYLES[push.swap]}:{push.target}")
        first = _FIRST.match(push.html)
        if push.swap == OUTER and first is not None:
            return PageEvent(_EVENT, f"{first[1]} {out_of_band}{push.html[first.end() :]}")
        around = "span" if push.swap == OUTER else _AROUND.get(first[2].lower() if first is not None else "", "div")
        return PageEvent(_EVENT, f"<{around} {out_of_band}>{push.html}</{around}>")

    def element(self, url: str) -> str:
        return (
            f'<div hx-ext="sse" sse-connect={quote(url)} sse-swap="{_EVENT}" sse-close="{CLOSE.name}" hx-swap="none" '
            f'hx-history="false" {MARK} hidden><div hx-get="" hx-trigger="sse:{REFRESH.name}" hx-target="body" '
            """hx-swap="outerHTML" hx-request='{"noHeaders":true}'></div></div>"""
        )


HTMX2: Final[Rendering] = _Htmx2()
