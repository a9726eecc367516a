"""What htmx 2 and htmx 4 have in common: their words for a swap, and for a page's refresh and end. Pure."""

from __future__ import annotations

from typing import Final

from messageflow.dialects.html.rendering import PageEvent

STYLES: Final = {
    "inner": "innerHTML",
    "outer": "outerHTML",
    "append": "beforeend",
    "prepend": "afterbegin",
    "before": "beforebegin",
    "after": "afterend",
    "remove": "delete",
}
REFRESH: Final = PageEvent("messageflow:reset", "{}")
CLOSE: Final = PageEvent("messageflow:close", "{}")
