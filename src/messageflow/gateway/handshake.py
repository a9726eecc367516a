"""The opening handshake of a WebSocket: who may open one, and the answer.

The request every browser sends is answered here directly; anything out of the ordinary, right or wrong, goes to the
`websockets` library, which knows the whole of RFC 6455 §4.2 and what to say. The short way takes a sixth of the time
(benchmarks: connect).
"""

from __future__ import annotations

import binascii
import http
from collections.abc import Sequence
from typing import NamedTuple

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.utils import accept_key

from messageflow.gateway.origins import Origins
from messageflow.gateway.proxies import Forwarded

SUBPROTOCOLS = [Subprotocol("centrifuge-json")]

RawHeaders = Sequence[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """The response to a handshake: its status, 101 when the WebSocket is open, and all its bytes."""

    status: int
    data: bytes


def answer(path: str, headers: RawHeaders, origins: Origins, forwarded: Forwarded) -> Answer:
    """Return the response to a request to open a WebSocket.

    Args:
        path: the target of the request.
        headers: as they came; names in lower case.
        origins: the pages that may connect.
        forwarded: how the request reached the outermost proxy we believe.
    """
    origin = origin_of(headers)
    if not origins.allows(origin, forwarded.host, forwarded.secure):
        return _refuse(
            http.HTTPStatus.FORBIDDEN,
            "This page's origin may not connect. Add it to allowed_origins (MESSAGEFLOW_ALLOWED_ORIGINS); the log of "
            "the gateway says how it is written.\n",
        )
    if "token" in path.partition("?")[2]:
        return _refuse(
            http.HTTPStatus.BAD_REQUEST,
            "A token never goes into a URL, where it ends up in logs. Send it in the connect command.\n",
        )
    key = _ordinary_key(headers)
    return _accept(key) if key is not None else _negotiate(path, headers)


def origin_of(headers: RawHeaders) -> str | None:
    """Return the Origin of a request, None where it has none; several, which no browser sends, are no origin."""
    found = [value.decode("latin-1") for name, value in headers if name == b"origin"]
    return ", ".join(found) if found else None


def _ordinary_key(headers: RawHeaders) -> str | None:
    """Return the key of a request that asks for a WebSocket as browsers do, None for any other.

    Extensions are not looked at: they are offers, and none is taken.
    """
    fields = dict(headers)
    if len(fields) != len(headers) or b"sec-websocket-protocol" in fields:
        return None
    key = fields.get(b"sec-websocket-key", b"")
    options = fields.get(b"connection", b"").lower().replace(b" ", b"").split(b",")
    ordinary = (
        fields.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in options
        and fields.get(b"sec-websocket-version") == b"13"
        and len(key) == 24
    )
    try:
        return key.decode() if ordinary and len(binascii.a2b_base64(key, strict_mode=True)) == 16 else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _accept(key: str) -> Answer:
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return Answer(101, f"{head}Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode())


def _negotiate(path: str, headers: RawHeaders) -> Answer:
    protocol = ServerProtocol(subprotocols=SUBPROTOCOLS, select_subprotocol=_select)
    decoded = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
    response = protocol.accept(Request(path, decoded))
    return Answer(response.status_code, response.serialize())


def _refuse(status: http.HTTPStatus, reason: str) -> Answer:
    return Answer(status, ServerProtocol().reject(status, reason).serialize())


def _select(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Take the JSON protocol where it is offered; a client that offers nothing speaks JSON too."""
    if not offered:
        return None
    if SUBPROTOCOLS[0] in offered:
        return SUBPROTOCOLS[0]
    raise InvalidHandshake(f"only the subprotocol {SUBPROTOCOLS[0]} is spoken here, as text")
