"""The native dialect within WebSocket frames: what all WebSocket connections of the native dialect are written with.

A frame from the server is never masked, so it can be made once for everybody.
"""

from __future__ import annotations

from messageflow.core.codes import ErrorCode
from messageflow.core.protocol import Push, Result
from messageflow.core.stream import Publication
from messageflow.dialects import native

_TEXT = 0x81  # FIN and the opcode of a text frame, RFC 6455 §5.2


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked text frame with this payload."""
    length = len(payload)
    if length < 126:
        return b"%c%c%b" % (_TEXT, length, payload)
    if length < 65536:
        return b"%c\x7e%b%b" % (_TEXT, length.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (_TEXT, length.to_bytes(8, "big"), payload)


class NativeWebSocketEncoder:
    """A `hub.connection.Wire`."""

    ping = text_frame(native.PING)

    def publication(self, channel: str, publication: Publication) -> bytes:
        return text_frame(native.encode_publication(channel, publication))

    def push(self, channel: str, push: Push) -> bytes:
        return text_frame(native.encode_push(channel, push))

    def result(self, command_id: int, method: str, result: Result) -> bytes:
        return text_frame(native.encode_result(command_id, method, result))

    def error(self, command_id: int, error: ErrorCode) -> bytes:
        return text_frame(native.encode_error(command_id, error))


NATIVE = NativeWebSocketEncoder()
