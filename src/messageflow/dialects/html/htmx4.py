"""htmx 4 with its `hx-sse` extension: unnamed events are HTML, here a partial with a target; named ones events of the
page.

Source: htmx.org 4.0.1, `dist/ext/hx-sse.js`.
"""

from __future__ import annotations

from typing import Final

from messageflow.core.html_push import HtmlPush
from messageflow.dialects.html.htmx import CLOSE, REFRESH, STYLES
from messageflow.dialects.html.rendering import MARK, PageEvent, Rendering, quote


class _Htmx4:
    name = "htmx4"
    refresh = REFRESH
    close = CLOSE

    def patch(self, push: HtmlPush) -> PageEvent:
        where = f'hx-target={quote(push.target)} hx-swap="{STYLES[push.swap]}"'
        return PageEvent("", f"<hx-partial {where}>{push.html}</hx-partial>")

    def element(self, url: str) -> str:
        return (
            f'<div hx-sse:connect={quote(url)} hx-sse:close="{CLOSE.name}" hx-swap="none" {MARK} hidden>'
            f"""<span hx-get="" hx-trigger="{REFRESH.name} from:'closest div'" hx-target="body" """
            'hx-swap="outerHTML"></span></div>'
        )


HTMX4: Final[Rendering] = _Htmx4()
