"""The opening handshake of a WebSocket: who may open one, and the answer.

Source: RFC 6455 §4.2; the checks are those of the `websockets` library, the Origin is ours.
"""

from __future__ import annotations

import http
from collections.abc import Sequence

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from messageflow.gateway.origins import Origins
from messageflow.gateway.proxies import Forwarded

SUBPROTOCOLS = [Subprotocol("centrifuge-json")]


def answer(path: str, headers: Sequence[tuple[bytes, bytes]], origins: Origins, forwarded: Forwarded) -> Response:
    """Return the response to a request to open a WebSocket: 101, or why not.

    Args:
        path: the target of the request.
        headers: as they came; names in lower case.
        origins: the pages that may connect.
        forwarded: how the request reached the outermost proxy we believe.
    """
    request = Request(path, Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]))
    found = request.headers.get_all("origin")
    origin = ", ".join(found) if found else None
    if not origins.allows(origin, forwarded.host, forwarded.secure):
        return _protocol.reject(
            http.HTTPStatus.FORBIDDEN,
            "This page's origin may not connect. Add it to allowed_origins (MESSAGEFLOW_ALLOWED_ORIGINS).\n",
        )
    if "token" in path.partition("?")[2]:
        return _protocol.reject(
            http.HTTPStatus.BAD_REQUEST,
            "A token never goes into a URL, where it ends up in logs. Send it in the connect command.\n",
        )
    return _protocol.accept(request)


def _select(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Take the JSON protocol where it is offered; a client that offers nothing speaks JSON too."""
    if not offered:
        return None
    if SUBPROTOCOLS[0] in offered:
        return SUBPROTOCOLS[0]
    raise InvalidHandshake(f"only the subprotocol {SUBPROTOCOLS[0]} is spoken here, as text")


# It answers requests and keeps nothing of them that matters here; making one for each would double the cost of a
# handshake (benchmarks: connect).
_protocol = ServerProtocol(subprotocols=SUBPROTOCOLS, select_subprotocol=_select)
