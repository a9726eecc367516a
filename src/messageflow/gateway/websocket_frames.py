"""The frames of WebSocket connections: what the server puts around a message.

A frame from the server is never masked, so it can be made once for everybody.

Source: RFC 6455 §5.2.
"""

from __future__ import annotations

from collections.abc import Callable

_TEXT, _BINARY = b"\x81", b"\x82"  # FIN and the opcode
_PING = b"\x89\x00"
_COMPRESSED = 0x40  # RSV1
READ = b"read"  # in a ping that asks how far a peer has read; it comes back in the pong


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked text frame with this payload."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%b" % (length, payload)
    if length < 65536:
        return b"\x81\x7e%c%c%b" % (length >> 8, length & 255, payload)
    return _long_frame(_TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """Return an unmasked binary frame with this payload."""
    length = len(payload)
    return b"\x82%c%b" % (length, payload) if length < 126 else _long_frame(_BINARY, payload)


def close_frame(code: int, reason: str) -> bytes:
    """Return the frame that ends a connection; of the reason as much as such a frame holds, 123 bytes."""
    payload = code.to_bytes(2, "big") + reason.encode()[:123]
    return b"\x88%c%b" % (len(payload), payload)


def _long_frame(first: bytes, payload: bytes) -> bytes:
    length = len(payload)
    if length < 65536:
        return b"%b\x7e%b%b" % (first, length.to_bytes(2, "big"), payload)
    return b"%b\x7f%b%b" % (first, length.to_bytes(8, "big"), payload)


def mark_compressed(frame: bytes) -> bytes:
    """Return one of these frames with RSV1 set: what it holds is compressed (RFC 7692 §6)."""
    return b"%c%b" % (frame[0] | _COMPRESSED, frame[1:])


def payload_of(frame: bytes) -> bytes:
    """Return what one of these frames holds."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


class WebSocketTransport:
    """A `hub.transport.Transport`: both ways, a stream of frames; pings are messages of the dialect, probes are not."""

    one_way = False
    name = "websocket"
    in_pieces = True
    probe = b"\x89%c%b" % (len(READ), READ)

    def framing(self, *, text: bool) -> Callable[[bytes], bytes]:
        return text_frame if text else binary_frame

    def shared_framing(self, *, text: bool) -> Callable[[bytes], bytes] | None:
        return None

    def ping(self, frame: bytes) -> bytes:
        return frame


class OneWayWebSocketTransport(WebSocketTransport):
    """One whose clients are asked to say nothing.

    A ping is a message of the dialect, for them to see, and a frame that every library answers by itself, so that who
    has gone behind a proxy is found too.
    """

    def ping(self, frame: bytes) -> bytes:
        return frame + _PING


WEBSOCKET = WebSocketTransport()
ONE_WAY_WEBSOCKET = OneWayWebSocketTransport()
