"""The server's side of a WebSocket once it is open: bytes to messages, control frames, the closing handshake.

An `asyncio.Protocol` directly on the transport, so that a connection is a raw transport and one small object. The frame
that nearly all are, a small text in one frame that comes alone and whole, is read here; every other by the sans-I/O
layer of the `websockets` library. A connection holds a parser only while a frame is incomplete. What a message means is
for the subclass.

Source: RFC 6455 §5–§7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.streams import StreamReader

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

from messageflow.errors import Picklable
from messageflow.gateway.websocket_limits import WebSocketLimits

CLOSE_TIMEOUT = 5.0  # seconds a peer has to answer a close frame
_WHOLE_TEXT, _WHOLE_BINARY = 0x81, 0x82  # FIN and the opcode
_MASKED = 0x80
_ONE_BYTE, _TWO_BYTES_MORE = 125, 126  # the longest length in one byte, and what stands there when two more say it
_SMALLEST = 6  # bytes of a masked frame

REASON_BYTES = 123  # of a close frame, RFC 6455 §5.5


class TooManyFragments(Picklable, Exception):
    """A message came in more frames than it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a message in more than {limit} frames")


def small_message(data: bytes, most: int, first: int = _WHOLE_TEXT) -> bytes | None:
    """Return the message when these bytes are one whole masked frame of less than 64 KiB, None for anything else.

    What is wrong in any way is not judged here. Saves 9 of 10 µs a frame (benchmarks: connect, idle). Source: RFC 6455
    §5.2.

    Args:
        data: as it came, at least one byte.
        most: bytes that a message may have.
        first: the first byte of its frame.
    """
    if data[0] != first or len(data) < _SMALLEST:
        return None
    length, start = data[1] - _MASKED, 2
    if length == _TWO_BYTES_MORE:
        length, start = data[2] << 8 | data[3], 4
        if length < _TWO_BYTES_MORE:
            return None
    if not 0 <= length <= most or len(data) != start + 4 + length or (start == 2 and length > _ONE_BYTE):
        return None
    return apply_mask(data[start + 4 :], data[start : start + 4])


class _Deaf(asyncio.Protocol):
    """In the place of a WebSocket that reads nothing more, until its peer has gone or its time is over."""

    def __init__(self, websocket: WebSocketProtocol) -> None:
        self._websocket = websocket

    def connection_lost(self, exc: Exception | None) -> None:
        self._websocket.connection_lost(exc)


class WebSocketProtocol(asyncio.Protocol):
    """One open WebSocket. Subclasses say what happens in `on_text`, `on_binary` and `on_lost`."""

    __slots__ = ("_closing", "_fragments", "_frame", "_limits", "_opcode", "_reader", "transport")

    def __init__(self, limits: WebSocketLimits) -> None:
        self._limits = limits
        self.transport: asyncio.Transport
        self._reader: StreamReader | None = None
        self._frame: Generator[None, None, Frame] | None = None
        self._fragments: list[bytes] | None = None
        self._opcode = Opcode.TEXT
        self._closing: asyncio.TimerHandle | None = None

    # For subclasses

    @property
    def extensions(self) -> Sequence[Extension]:
        """What the next frame is decoded with."""
        return ()

    def on_text(self, message: bytes) -> None:
        """A text message came; it is not yet known to be UTF-8."""
        raise NotImplementedError

    def on_binary(self, message: bytes) -> None:
        """A binary message came."""
        raise NotImplementedError

    def on_pong(self, data: bytes) -> None:
        """The peer answered a ping."""

    def on_goodbye(self) -> None:
        """The peer ends the connection. It is lost once what was written to it is out, or given up."""

    def on_lost(self) -> None:
        """The connection is gone. Called once."""

    # What the transport says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.set_write_buffer_limits(high=self._limits.buffer_high_water)

    def data_received(self, data: bytes) -> None:
        if self._reader is None and self._fragments is None and self._closing is None:
            message = small_message(data, self._limits.message_size_limit)
            if message is not None:
                try:
                    self.on_text(message)
                except UnicodeDecodeError:
                    self.fail(CloseCode.INVALID_DATA, "not UTF-8")
                return
            message = small_message(data, self._limits.message_size_limit, _WHOLE_BINARY)
            if message is not None:
                self.on_binary(message)
                return
        self._parse_data(data)

    def _parse_data(self, data: bytes) -> None:
        reader = self._reader or StreamReader()
        reader.feed_data(data)
        try:
            self._parse(reader)
        except (PayloadTooBig, TooManyFragments) as error:
            self.fail(CloseCode.MESSAGE_TOO_BIG, str(error))
        except ProtocolError as error:
            self.fail(CloseCode.PROTOCOL_ERROR, str(error))
        except UnicodeDecodeError:
            self.fail(CloseCode.INVALID_DATA, "not UTF-8")

    def _parse(self, reader: StreamReader) -> None:
        """Handle the complete frames; keep the parser of an incomplete one."""
        frame = self._frame
        while True:
            if frame is None:
                most, extensions = self._limits.message_size_limit, self.extensions
                frame = Frame.parse(reader.read_exact, mask=True, max_size=most, extensions=extensions)
            try:
                next(frame)
            except StopIteration as done:
                frame = None
                self._handle(done.value)
                if self.transport.is_closing():
                    return
                if not reader.buffer:
                    self._reader = self._frame = None
                    return
            else:
                self._reader, self._frame = reader, frame
                return

    def eof_received(self) -> None:
        """The peer's system says that nothing more comes. The transport closes once what waits is out."""
        if self._closing is None:
            if self.transport.get_write_buffer_size():
                self._part()
            else:  # nothing to wait for, and so no timer: 6 µs (benchmarks: connect)
                self.on_goodbye()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        self._reader = self._frame = self._fragments = None
        self.on_lost()

    # Frames

    def _handle(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.CLOSE:
            self._peer_closed(frame)
        elif self._closing is not None:
            return  # RFC 6455 §5.5.1: after a close frame nothing counts but the answer
        elif opcode is Opcode.PING:
            self._answer_ping(frame)
        elif opcode is Opcode.PONG:
            self.on_pong(bytes(frame.data))
        else:
            self._data_frame(frame)

    def _answer_ping(self, frame: Frame) -> None:
        """Answer, unless the peer takes so little that answers would only pile up."""
        if self.transport.get_write_buffer_size() <= 2 * self._limits.buffer_high_water:
            self.transport.write(Frame(Opcode.PONG, frame.data).serialize(mask=False))

    def _data_frame(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if frame.opcode is Opcode.CONT:
            if self._fragments is None:
                raise ProtocolError("a continuation of nothing")
            self._fragments.append(data)
            self._check_fragments(self._fragments)
            if not frame.fin:
                return
            data, self._fragments = b"".join(self._fragments), None
        elif self._fragments is not None:
            raise ProtocolError("a new message before the last one ended")
        else:
            self._opcode = frame.opcode
            if not frame.fin:
                self._fragments = [data]
                return
        if self._opcode is Opcode.TEXT:
            self.on_text(data)
        else:
            self.on_binary(data)

    def _check_fragments(self, fragments: list[bytes]) -> None:
        limits = self._limits
        size = sum(map(len, fragments))
        if size > limits.message_size_limit:
            raise PayloadTooBig(size, limits.message_size_limit)
        if len(fragments) > limits.fragments_limit:
            raise TooManyFragments(limits.fragments_limit)

    def _peer_closed(self, frame: Frame) -> None:
        close = Close.parse(frame.data)
        if self._closing is None:
            code = close.code if close.code != CloseCode.NO_STATUS_RCVD else CloseCode.NORMAL_CLOSURE
            payload = Close(code, "").serialize() if frame.data else b""
            self.transport.write(Frame(Opcode.CLOSE, payload).serialize(mask=False))
            self._part()
        self.transport.close()  # which waits for what is still to be written; a peer that left may take none of it

    # The end

    def _part(self) -> None:
        self._closing = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self.transport.abort)
        self.on_goodbye()

    def send_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; a peer that does not answer is cut off after a while."""
        if self._closing is not None or self.transport.is_closing():
            return
        reason = reason.encode(errors="replace")[:REASON_BYTES].decode(errors="ignore")
        self.transport.write(Frame(Opcode.CLOSE, Close(code, reason).serialize()).serialize(mask=False))
        self._closing = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self.transport.abort)

    def fail(self, code: CloseCode, reason: str) -> None:
        """End a connection whose peer broke the protocol: say so, and read nothing more. RFC 6455 §7.1.7."""
        self._reader = self._frame = self._fragments = None
        if self._closing is None and not self.transport.is_closing():
            self.transport.write(Frame(Opcode.CLOSE, Close(code, "").serialize()).serialize(mask=False))
            self._closing = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self.transport.abort)
        self.on_failure(int(code), reason)
        if code is CloseCode.MESSAGE_TOO_BIG and not self.transport.is_closing():
            self._let_it_end()
        else:
            self.transport.close()

    def _let_it_end(self) -> None:
        """Take what is still to come of a message that is too large, and throw it away.

        A socket that is closed while bytes wait in it is reset, and then the peer learns of no close code: it would
        come back and send the same again.
        """
        self.transport.set_protocol(_Deaf(self))
        self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def on_failure(self, code: int, reason: str) -> None:
        """The peer broke the protocol; `reason` is for the log."""
