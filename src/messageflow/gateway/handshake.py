"""The opening handshake of a WebSocket: who may open one, and the answer.

The request every browser sends is answered here directly; anything out of the ordinary, right or wrong, goes to the
`websockets` library, which knows the whole of RFC 6455 §4.2 and what to say. The short way takes a sixth of the time
(benchmarks: connect).
"""

from __future__ import annotations

import http
import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha1
from typing import NamedTuple

from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from messageflow.core.codes import WRONG_PROTOCOL
from messageflow.dialects.base import Dialect
from messageflow.dialects.table import DIALECTS, choose
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.origins import Origins
from messageflow.gateway.proxies import Forwarded
from messageflow.gateway.websocket_compression import accept_offer
from messageflow.gateway.websocket_frames import close_frame

_SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
)

_FORMAT = re.compile(rb"(?:^|&)(?:format|cf_protocol)=([a-z]+)(?:&|$)")  # as Centrifuge's servers read it
_TICKET = re.compile(rb"(?:^|&)ticket=[^&]*")  # which has any letters
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class Answer(NamedTuple):
    """The response to a handshake.

    Args:
        status: 101 when the WebSocket is open.
        data: all its bytes.
        dialect: what is spoken over the WebSocket from now on; None where there is none.
        reason: why there is none.
        compressed: whether both sides may compress messages.
    """

    status: int
    data: bytes
    dialect: Dialect | None = None
    reason: str = ""
    compressed: bool = False


def answer_handshake(
    head: Head,
    origin: str | None,
    origins: Origins,
    forwarded: Forwarded,
    only: Dialect | None = None,
    *,
    compression: bool = False,
) -> Answer:
    """Return the response to a request to open a WebSocket.

    Args:
        head: of the request.
        origin: of it, as `origin_of` returns it.
        origins: the pages that may connect.
        forwarded: how the request reached the outermost proxy we believe.
        only: what is spoken whatever is asked for; None: what the path and the subprotocol say.
        compression: whether to take an offer to compress messages.
    """
    if not origins.allows(origin, forwarded.host, forwarded.secure):
        return _refuse(
            http.HTTPStatus.FORBIDDEN,
            "This page's origin may not connect. Add it to allowed_origins (MESSAGEFLOW_ALLOWED_ORIGINS); the log of "
            "the gateway says how it is written.\n",
        )
    query = head.target.partition(b"?")[2]
    # Looked for only there: `in` takes bytes for a number first (benchmarks: connect).
    if query and b"token" in query and b"token" in _TICKET.sub(b"", query):
        return _refuse(
            http.HTTPStatus.BAD_REQUEST,
            "A token never goes into a URL, where it ends up in logs. Send it in the connect command.\n",
        )
    extensions = _choose_extensions(head) if compression else ""
    wanted = _read_format(query) if query else ""
    key = _ordinary_key(head)
    known = _find_known(head, only, wanted) if key is not None else None
    if key is not None and known is not None:
        return _accept(key, *known, extensions)
    return _negotiate(head, only, wanted, extensions)


def origin_of(fields: Mapping[bytes, bytes]) -> str | None:
    """Return the Origin of a request, None where it has none; several, which no browser sends, are no origin."""
    found = fields.get(b"origin")
    return None if found is None else found.decode("latin-1")


def _ordinary_key(head: Head) -> bytes | None:
    """Return the key of a request that asks for a WebSocket as browsers do, None for any other.

    Extensions are not looked at: they are offers.
    """
    fields = head.fields
    if len(fields) != len(head.headers):
        return None
    key = fields.get(b"sec-websocket-key", b"")
    ordinary = (
        head.upgrade == b"websocket"  # also by the option, in `connection`
        and fields.get(b"sec-websocket-version") == b"13"
        and len(key) == 24
    )
    try:
        return key if ordinary and len(a2b_base64(key, strict_mode=True)) == 16 else None
    except Error:
        return None


def _read_format(query: bytes) -> str:
    found = _FORMAT.search(query)
    return "" if found is None else found[1].decode()


def _find_known(head: Head, only: Dialect | None, wanted: str) -> tuple[Dialect, bytes] | None:
    """Return what is spoken with a client that asks for no subprotocol, or for one alone, that is spoken here.

    With it comes the subprotocol.
    """
    asked = head.fields.get(b"sec-websocket-protocol", b"")
    if only is None:
        return _look_up(head.path, asked, wanted)
    return None if asked else (only, b"")


@lru_cache(maxsize=64)
def _look_up(path: bytes, asked: bytes, wanted: str) -> tuple[Dialect, bytes] | None:
    spoken = choose(path.decode("latin-1"), (asked.decode("latin-1"),) if asked else (), wanted)
    return None if spoken is None else (spoken.dialect, asked)


def _choose_extensions(head: Head) -> str:
    """Return what is answered to what a client offers beyond the protocol, empty for nothing."""
    offered = [value for name, value in head.headers if name == b"sec-websocket-extensions"]
    return accept_offer(b", ".join(offered).decode("latin-1")) if offered else ""


def _accept(key: bytes, dialect: Dialect, subprotocol: bytes, extensions: str) -> Answer:
    accept = b2a_base64(sha1(key + _GUID).digest(), newline=False)
    if subprotocol:
        accept = b"%b\r\nSec-WebSocket-Protocol: %b" % (accept, subprotocol)
    if not extensions:
        return Answer(101, _SWITCH % accept, dialect)
    head = _SWITCH % (b"%b\r\nSec-WebSocket-Extensions: %b" % (accept, extensions.encode()))
    return Answer(101, head, dialect, compressed=True)


def _negotiate(head: Head, only: Dialect | None, wanted: str, extensions: str) -> Answer:
    address = head.path.decode("latin-1")
    names = [Subprotocol(each.subprotocol) for each in DIALECTS if each.path == address]
    chosen: list[Dialect] = []

    def select(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """Take what is offered and spoken here; a client that offers nothing takes what it gets."""
        if only is not None:
            chosen.append(only)
            return None
        spoken = choose(address, offered, wanted)
        if spoken is None:
            return offered[0]
        chosen.append(spoken.dialect)
        return Subprotocol(spoken.subprotocol) if offered else None

    protocol = ServerProtocol(subprotocols=names, select_subprotocol=select)
    decoded = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers])
    response = protocol.accept(Request(head.target.decode("latin-1"), decoded))
    if response.status_code == 101 and not chosen:
        reason = f"{WRONG_PROTOCOL.reason}: only {' or '.join(names) or 'no subprotocol'} is spoken here"
        # A browser tells its page nothing of a refusal but that there was one, and would come back for ever.
        closing = close_frame(WRONG_PROTOCOL.code, reason)
        return Answer(101, response.serialize() + closing, None, reason)
    if response.status_code == 101 and extensions:
        response.headers["Sec-WebSocket-Extensions"] = extensions
        return Answer(101, response.serialize(), chosen[0], compressed=True)
    why = (response.body or b"").decode("utf-8", "replace").strip()
    return Answer(response.status_code, response.serialize(), chosen[0] if chosen else None, why)


def _refuse(status: http.HTTPStatus, reason: str) -> Answer:
    return Answer(status, ServerProtocol().reject(status, reason).serialize(), None, reason.strip())
