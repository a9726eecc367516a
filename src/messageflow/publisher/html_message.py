"""`Html`: a piece of HTML and where it goes in a page, which is pushed, broadcast or published like any message.

Owns what an application may write for each of the three. Never looks into the HTML, nor escapes any of it. Pure.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, json

from messageflow.core.html_push import INNER, MARK, OUTER, REMOVE, TYPE, HtmlPush, read_swap
from messageflow.publisher.arguments import find_text
from messageflow.typed.message import Message, message

HTML_TAGS: Final = Raw(json.encode(MARK))


@message(TYPE)
class Html(Message):
    """HTML for pages that listen through htmx, Turbo or Datastar; any other client gets it as an action.

        flow.push("alice", Html(row, target="#jobs", swap="append"))       as flow.html("alice", row, target=…)
        flow.publish("org-7:jobs", Html(row, target="#jobs", swap="append"))
        flow.broadcast(Html("Back at ten", target="#notice"))

    Args:
        html: text, or something with `__html__`. Escape in it what users wrote, as templates do.
        target: the elements of the page it is for, a CSS selector such as `#jobs`.
        swap: `inner` for what they hold, `outer` (`replace`) for themselves, `append`, `prepend`, `before`, `after`, or
            `remove` (`delete`), which puts nothing there.

    Raises:
        TypeError: the HTML or the target is no text.
        ValueError: the swap is none of these, or the HTML does not go with it.
    """

    html: str
    target: str
    swap: str = INNER

    def __post_init__(self) -> None:
        self.html, self.target = _read_html(self.html), _read_target(self.target)
        self.swap = read_swap(self.swap)
        if self.swap == REMOVE and self.html:
            raise ValueError("swap='remove' puts nothing there: leave html empty, or write outer to replace the target")
        if self.swap == OUTER and not self.html.strip():
            self.html, self.swap = "", REMOVE
        if self.swap == OUTER and not self.html.lstrip().startswith("<"):
            raise ValueError("swap='outer' puts an element in the place of another: begin html with its tag")
        HtmlPush(self.html, self.target, self.swap)


def _read_html(html: Any) -> str:
    """Return the text of HTML, also of objects that know their own, as those of markupsafe, htpy and FastHTML do."""
    own = getattr(html, "__html__", None)
    text = find_text(own() if callable(own) and not isinstance(html, type) else html)
    if text is None:
        raise TypeError(f"html must be text, or something with __html__, not {type(html).__name__}")
    return text


def _read_target(target: Any) -> str:
    text = find_text(target)
    if text is None:
        raise TypeError(f"target must be a CSS selector such as '#jobs', not {type(target).__name__}")
    return " ".join(text.split())
