"""What stands in a page that htmx, Turbo or Datastar changes: the element with its ticket, and where its stream begins.

    {{ render_stream(flow, "alice", "htmx4") }}

Owns the address of the stream. What the element looks like is the library's, `dialects.html`. Opens no connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from messageflow.core.event_ids import write_start
from messageflow.core.gateway_paths import EVENTS_PATH, SCRIPT_PATH
from messageflow.core.stream import Position
from messageflow.integrations.markup_text import MarkupText
from messageflow.integrations.script_tag import Since
from messageflow.publisher.arguments import User
from messageflow.publisher.flow import Flow


def render_stream(
    flow: Flow,
    user: User | None,
    library: str,
    *,
    channels: Iterable[str] = (),
    since: Since | None = None,
    script_url: str = "",
) -> MarkupText:
    """Return the element, for templates to take as it is. For nobody it is empty.

    Args:
        flow: makes the ticket.
        user: whom the page is for.
        library: `htmx2`, `htmx4`, `turbo` or `datastar`.
        channels: what the page hears besides.
        since: where it begins, as `flow.position(user, channels=…)` gave it; else where it connects.
        script_url: where pages load the browser client from, beside which streams are; else what the flow says.

    Raises:
        ValueError: the library is not known.
        ConfigurationError, EncodingError, TypeError: as `Flow.ticket`.
    """
    from messageflow.dialects.html.renderings import find_rendering  # what pushes no HTML loads nothing of it

    rendering = find_rendering(library)
    if user is None:
        return MarkupText()
    where = script_url or flow.script_url
    base = where.removesuffix(SCRIPT_PATH) if where.endswith(SCRIPT_PATH) else ""
    url = f"{base}{EVENTS_PATH}?as={library}&ticket={flow.ticket(user, channels=channels)}"
    if since:
        positions = {name: Position(**each) for name, each in since.items()}
        url += f"&last_event_id={quote(write_start(positions), safe=',:')}"
    return MarkupText(rendering.element(url))
