"""The dialect of an event stream whose pages are changed by a library: what backends push as HTML is its own events.

All else has a name, which no client chooses the beginning of: `push:` and the type of an action, `publication` for what
is none, `messageflow:` for what the gateway says itself. So no text that somebody published is ever taken for HTML, by
whichever of these names a page listens to it.

Source: docs/html.md.
"""

from __future__ import annotations

from typing import Final

from messageflow.core.codes import CONNECTION_EXPIRED, Disconnect
from messageflow.core.html_push import find_html, find_type
from messageflow.core.protocol import PublicationView
from messageflow.core.stream import Publication
from messageflow.dialects.event_source import EventStream, write_event
from messageflow.dialects.html.rendering import PageEvent, Rendering
from messageflow.dialects.html.renderings import RENDERINGS
from messageflow.dialects.stream_dialect import StreamDialect

_OURS: Final = b"messageflow:"


class HtmlStream(EventStream):
    """The dialect of one library.

    Args:
        rendering: how it is told.
    """

    def __init__(self, rendering: Rendering) -> None:
        self.name = rendering.name
        self._rendering = rendering

    def write_publication(self, channel: str, publication: Publication | PublicationView, event_id: bytes) -> bytes:
        """Return what was published: HTML as the library has it, else an event that is not taken for it."""
        html = find_html(publication)
        if html is not None:
            return _write(self._rendering.patch(html), event_id)
        data = bytes(publication.data)
        kind = find_type(data)
        name = f"push:{kind}" if kind and kind.isprintable() else "publication"
        return write_event(data, name.encode(), event_id)

    def write_notice(self, name: bytes, data: bytes, event_id: bytes = b"") -> bytes:
        """Return something else that there is to say, under a name that is ours."""
        return write_event(data, _OURS + name, event_id)

    def write_reset(self, data: bytes) -> bytes:
        """Return what lets a page fetch itself anew that missed something."""
        return _write(self._rendering.refresh)

    def disconnect(self, disconnect: Disconnect) -> bytes:
        """Return the last message: a page whose time is over needs another ticket, one that is cut off stays away."""
        said = super().disconnect(disconnect)
        if disconnect.code == CONNECTION_EXPIRED.code:
            return said + _write(self._rendering.refresh)
        return said if disconnect.reconnect else said + _write(self._rendering.close)


def _write(event: PageEvent, event_id: bytes = b"") -> bytes:
    return write_event(event.data.encode(), event.name.encode(), event_id)


HTML_STREAMS: Final[dict[str, StreamDialect]] = {name: HtmlStream(each) for name, each in RENDERINGS.items()}
