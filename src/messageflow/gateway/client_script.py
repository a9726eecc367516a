"""The browser client's script as it is served: `static/messageflow.js`, its caching and who may load it.

Owns nothing. `client/` is where it is built from.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.pages import Asked

CLIENT = Path(__file__).parent / "static" / "messageflow.js"


class ClientScript:
    """The file, as it was when the gateway began, and what browsers and proxies may do with it."""

    def __init__(self) -> None:
        self._script = CLIENT.read_bytes()
        self._tag = f'"{hashlib.sha256(self._script).hexdigest()[:32]}"'.encode()
        self._headers = [
            (b"etag", self._tag),
            (b"cache-control", b"no-cache"),  # it may be kept, and is asked for again after an upgrade of the gateway
            (b"x-content-type-options", b"nosniff"),
            # Pages of other origins may have it: with `crossorigin` and `integrity`, as a module, isolated, measured.
            (b"access-control-allow-origin", b"*"),
            (b"cross-origin-resource-policy", b"cross-origin"),
            (b"timing-allow-origin", b"*"),
        ]

    def show(self, asked: Asked) -> HttpResponse:
        """Return the script, or that the browser has it already."""
        tags = b",".join(value for name, value in asked.head.headers if name == b"if-none-match").split(b",")
        known = {tag.strip().removeprefix(b"W/") for tag in tags}
        if known & {self._tag, b"*"}:
            return HttpResponse(304, self._headers)
        return HttpResponse(200, self._headers, self._script, b"text/javascript; charset=utf-8")
