"""The script tag of a page: the browser client, where its token comes from, and where the page begins.

All of it stands in attributes, so that a strict Content-Security-Policy asks for no script in the page. Everything is
escaped, whoever made it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import msgspec

from messageflow.publisher.results import PagePosition

Since = Mapping[str, PagePosition]


def render_script_tag(src: str, token_url: str | None = None, since: Since | None = None, nonce: str = "") -> str:
    """Return the tag; `messageflow.connect()` of the page takes from it what it is not told.

    Args:
        src: where the client is.
        token_url: where the page fetches its token; None where it has another way to one.
        since: what `flow.position(user)` gave, None for a page that begins where it connects.
        nonce: of the page's Content-Security-Policy.
    """
    attributes = {
        "src": src,
        "data-token-url": token_url,
        "data-since": msgspec.json.encode(since).decode() if since else None,
        "nonce": nonce or None,
    }
    told = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items() if value is not None)
    return f"<script{told}></script>"
