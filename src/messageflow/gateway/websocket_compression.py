"""permessage-deflate, where a gateway is told to speak it: what is taken of an offer, frames out, messages in.

Neither side takes a context over from message to message (RFC 7692 §7.1.1), so that what goes to many is compressed
once for all of them, and a connection holds nothing between two messages.

Only publications are compressed: a reply is for one client, costs as much again for each, and may hold what is secret
beside what somebody else chose, whose length would then tell about it (CRIME, BREACH). For the same reason nothing of
a channel or a publication that is marked secret is compressed.

Source: RFC 7692.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

from websockets.exceptions import InvalidHeader
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CTRL_OPCODES, Frame
from websockets.headers import parse_extension

from messageflow.gateway.websocket_frames import WebSocketTransport, binary_frame, mark_compressed, text_frame
from messageflow.gateway.websocket_protocol import WebSocketProtocol

WINDOW_BITS = 12  # of what we send: Python's `websockets` asks for no more, and 1 KiB of JSON gains nothing by it
LEVEL = 6  # 7 % smaller than level 1 for 1 KiB of JSON, at the same price (benchmarks: deflate)

_AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
_BARE = frozenset({"server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits"})
_EMPTY_BLOCK = 4  # bytes at the end of each message that are not sent, §7.2.1
_WIDEST = 15
_WIDTHS = frozenset(map(str, range(8, _WIDEST + 1)))


@lru_cache(maxsize=64)  # browsers say it alike
def accept_offer(header: str) -> str:
    """Return what is answered to the extensions that a client offers, empty where none is taken."""
    try:
        offers = parse_extension(header)
    except InvalidHeader:
        return ""
    for name, parameters in offers:
        answer = _accept_parameters(parameters) if name == "permessage-deflate" else None
        if answer is not None:
            return answer
    return ""


def _accept_parameters(parameters: Sequence[tuple[str, str | None]]) -> str | None:
    """Return the answer to one offer, None where something in it is unknown, wrong or asks for less than we need."""
    answer, names = _AGREED, [name for name, _ in parameters]
    if len(set(names)) != len(names):
        return None
    for name, value in parameters:
        if value is None:
            if name not in _BARE:
                return None
        elif name not in ("client_max_window_bits", "server_max_window_bits") or value not in _WIDTHS:
            return None
        elif name == "server_max_window_bits":
            if int(value) < WINDOW_BITS:
                return None
            answer += f"; {name}={WINDOW_BITS}"
    return answer


class CompressedTransport(WebSocketTransport):
    """A `hub.transport.Transport` for clients that take compressed messages.

    Args:
        smallest: bytes below which a message is sent as it is.
    """

    def __init__(self, smallest: int) -> None:
        self._smallest = smallest
        # One for all: a full flush forgets what came before, for less than making another costs (benchmarks: deflate).
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS)

    def shared_framing(self, *, text: bool) -> Callable[[bytes], bytes]:
        frame, smallest, deflate = text_frame if text else binary_frame, self._smallest, self._deflate

        def compress(message: bytes) -> bytes:
            if len(message) < smallest:
                return frame(message)
            data = (deflate.compress(message) + deflate.flush(zlib.Z_FULL_FLUSH))[:-_EMPTY_BLOCK]
            return mark_compressed(frame(data)) if len(data) < len(message) else frame(message)

        return compress


class Inflater(PerMessageDeflate):
    """Reads one compressed message of a client, in however many frames, and no more of it than a message may have."""

    def __init__(self) -> None:
        super().__init__(True, True, _WIDEST, WINDOW_BITS)
        self._given = 0

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        if frame.opcode in CTRL_OPCODES or max_size is None:
            return frame
        decoded = super().decode(frame, max_size=max(1, max_size - self._given))  # for zlib, 0 is no limit
        self._given += len(decoded.data)
        return decoded


class InflatingProtocol(WebSocketProtocol):
    """The server's side of a WebSocket whose client may compress; between two messages it holds nothing for that."""

    __slots__ = ()

    _inflater: Inflater | None  # of the message that is being read

    @property
    def extensions(self) -> Sequence[Extension]:
        if self._inflater is None:
            self._inflater = Inflater()  # type: ignore[misc]  # the slot is of who inherits this beside another
        return (self._inflater,)

    def _data_frame(self, frame: Frame) -> None:
        if frame.fin:
            self._inflater = None  # type: ignore[misc]
        super()._data_frame(frame)
