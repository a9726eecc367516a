"""The network between the demo's gateway and one browser, which can be cut: bytes stop and no goodbye is said.

Stands between the event loop and whatever the gateway listens with, and sees the first bytes of each connection alone.
Owns which browsers are cut off; never writes a byte, and never touches what is no WebSocket, so that a page that was
cut off can ask to have the network mended.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, cast

FIRST_BYTES_WITHIN = 10.0  # seconds
CARRIED_OUT_WITHIN = 5.0  # seconds
_NO_GOODBYE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # struct linger: closing is a reset


class DemoNetwork:
    """The WebSockets of one event loop, by a mark that the requests of a browser carry, such as its session cookie.

    Args:
        loop: whose servers are stood before, from now on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: list[tuple[bytes, asyncio.Transport]] = []  # WebSockets, by the head of their request
        self._cut_until: dict[bytes, float] = {}
        self._stand_before(loop)

    def cut(self, mark: str, seconds: float) -> None:
        """Reset the WebSockets that carry a mark, and those that come within so many seconds; from any thread."""

        async def carry_out() -> None:
            now = self._loop.time()
            self._cut_until = {known: until for known, until in self._cut_until.items() if until > now}
            self._cut_until[mark.encode()] = now + seconds
            for head, transport in self._open:
                if self.is_cut(head):
                    reset(transport)

        asyncio.run_coroutine_threadsafe(carry_out(), self._loop).result(CARRIED_OUT_WITHIN)

    def mend(self, mark: str) -> None:
        """Let WebSockets that carry a mark in again; from any thread."""

        async def carry_out() -> None:
            self._cut_until.pop(mark.encode(), None)

        asyncio.run_coroutine_threadsafe(carry_out(), self._loop).result(CARRIED_OUT_WITHIN)

    def is_cut(self, head: bytes) -> bool:
        """Whether a WebSocket with this head is to be reset."""
        now = self._loop.time()
        return any(mark in head for mark, until in self._cut_until.items() if until > now)

    def enter(self, head: bytes, transport: asyncio.Transport) -> None:
        """Note a WebSocket that was let in."""
        self._open = [(each, other) for each, other in self._open if not other.is_closing()]
        self._open.append((head, transport))

    def _stand_before(self, loop: asyncio.AbstractEventLoop) -> None:
        create_server = loop.create_server

        def create(make: Callable[[], asyncio.Protocol], *args: Any, **options: Any) -> Any:
            return create_server(lambda: _Entrance(self, make()), *args, **options)

        loop.create_server = create  # type: ignore[method-assign,assignment]  # of this one loop, whatever the gateway is made of


class _Entrance(asyncio.Protocol):
    """One connection until its first bytes; from then on it is the gateway's own."""

    def __init__(self, network: DemoNetwork, gateway: asyncio.BaseProtocol) -> None:
        self._network = network
        self._gateway = cast(asyncio.Protocol, gateway)
        self._transport: asyncio.Transport
        self._patience: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._patience = asyncio.get_running_loop().call_later(FIRST_BYTES_WITHIN, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()

    def data_received(self, data: bytes) -> None:
        self._patience.cancel()
        if b"upgrade: websocket" in data.lower():  # a browser sends a head at once
            if self._network.is_cut(data):
                reset(self._transport)
                return
            self._network.enter(data, self._transport)
        self._transport.set_protocol(self._gateway)
        self._gateway.connection_made(self._transport)
        self._gateway.data_received(data)


def reset(transport: asyncio.Transport) -> None:
    """End a connection as a cut network does: the other end learns of it by an error."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_GOODBYE)
        transport.abort()
