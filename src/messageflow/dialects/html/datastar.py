"""Datastar 1: an event `datastar-patch-elements` says selector, mode and elements, each line with its word before it.

Its own expressions are what runs where it runs, so that a page reloads itself by one.

Source: Datastar 1.0.1, `plugins/actions/fetch` and `plugins/watchers/patchElements`.
"""

from __future__ import annotations

import re
from typing import Final

from messageflow.core.html_push import REMOVE, HtmlPush
from messageflow.dialects.html.rendering import MARK, PageEvent, Rendering, quote

_EVENT: Final = "datastar-patch-elements"
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
# A stream that ends comes back, as an EventSource does; and no signal of the page goes into an address.
_OPTIONS: Final = "{retry: 'always', retryMaxCount: Infinity, filterSignals: {include: /^$/}}"


class _Datastar:
    name = "datastar"
    refresh = PageEvent(_EVENT, 'selector body\nmode append\nelements <div data-init="window.location.reload()"></div>')
    close = PageEvent(_EVENT, f"selector [{MARK}]\nmode remove")

    def patch(self, push: HtmlPush) -> PageEvent:
        lines = [f"selector {push.target}", f"mode {push.swap}"]
        if push.swap != REMOVE:
            lines += [f"elements {line}" for line in _LINE_END.split(push.html)]
        return PageEvent(_EVENT, "\n".join(lines))

    def element(self, url: str) -> str:
        told = url.replace("\\", "\\\\").replace("'", "\\'")
        action = quote(f"@get('{told}', {_OPTIONS})")
        return f"<div data-init={action} {MARK} hidden></div>"


DATASTAR: Final[Rendering] = _Datastar()
