"""A WebSocket echo server made of our protocol class, for Autobahn's fuzzing client. Prints its port."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from websockets.extensions import Extension
from websockets.frames import Frame, Opcode

from messageflow.gateway.event_loop import run_loop
from messageflow.gateway.front_door.head import parse_head
from messageflow.gateway.handshake import answer_handshake, origin_of
from messageflow.gateway.origins import Origins
from messageflow.gateway.proxies import Proxies, trace_forwarded
from messageflow.gateway.websocket_compression import CompressedTransport, InflatingProtocol
from messageflow.gateway.websocket_limits import WebSocketLimits

PATH = b"/connection/websocket"  # whatever is asked for: elsewhere the gateway speaks no WebSocket
COMPRESSED = CompressedTransport(0)
COMPRESS = {
    Opcode.TEXT: COMPRESSED.shared_framing(text=True),
    Opcode.BINARY: COMPRESSED.shared_framing(text=False),
}
LIMITS = WebSocketLimits(message_size_limit=32 << 20, fragments_limit=1 << 20, buffer_high_water=64 << 20)


class Echo(InflatingProtocol):
    """Sends every message back, compressed where that was agreed.

    Args:
        compressed: whether it was.
    """

    def __init__(self, compressed: bool) -> None:
        super().__init__(LIMITS)
        self._inflater = None
        self._compressed = compressed

    @property
    def extensions(self) -> Sequence[Extension]:
        return super().extensions if self._compressed else ()

    def on_text(self, message: bytes) -> None:
        message.decode()  # raises what makes the protocol close with 1007, as the gateway's connections do
        self._send(Opcode.TEXT, message)

    def on_binary(self, message: bytes) -> None:
        self._send(Opcode.BINARY, message)

    def _send(self, opcode: Opcode, message: bytes) -> None:
        if self._compressed:
            self.transport.write(COMPRESS[opcode](message))
        else:
            self.transport.write(Frame(opcode, message).serialize(mask=False))


class Handshake(asyncio.Protocol):
    """Reads the request head, answers it as the gateway does, and makes way for an `Echo`."""

    def __init__(self) -> None:
        self._head = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        end = self._head.index(b"\r\n\r\n") + 4
        head, rest = parse_head(self._head[:end]), self._head[end:]
        head.target = head.path = PATH
        came = trace_forwarded("", False, head.fields, Proxies())
        response = answer_handshake(head, origin_of(head.fields), Origins(["*"]), came, compression=True)
        self._transport.write(response.data)
        echo = Echo(response.compressed)
        self._transport.set_protocol(echo)
        echo.connection_made(self._transport)
        if rest:
            echo.data_received(rest)


async def main() -> None:
    """Serve until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Handshake, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the test reads it
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    run_loop(main())
