"""A connection of a port with TLS, from the first byte to the end of its handshake; then an HTTP connection goes on.

Until then it waits for its peer as one does whose request head is due: as long, and it makes room as that does. The
event loop could begin TLS itself, and would tell nobody of a connection before its handshake has ended.
"""

from __future__ import annotations

import asyncio
import ssl

from messageflow.gateway.front_door.front_door import FrontDoor
from messageflow.gateway.front_door.http_connection import HttpConnection
from messageflow.gateway.front_door.response import HttpResponse


class TlsHandshake(asyncio.Protocol):
    """A `front_door.front_door.Open`.

    Args:
        door: what all connections of the port share.
        context: with the certificate.
    """

    in_handshake = True

    def __init__(self, door: FrontDoor, context: ssl.SSLContext) -> None:
        self.transport: asyncio.Transport
        self._door = door
        self._context = context

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._door.opened(self)
        self._door.run(self._shake_hands())  # in this step, before the loop reads what is TLS's

    async def _shake_hands(self) -> None:
        connection = HttpConnection(self._door)
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(self.transport, connection, self._context, server_side=True)
        except OSError:  # what came is no TLS, or the peer does not trust us, or it was ended
            return
        finally:
            self._door.forget(self)
        if transport is not None and not transport.is_closing():  # a peer that leaves meanwhile is no error to the loop
            connection.connection_made(transport)

    def turn_away(self, response: HttpResponse) -> None:
        """Say nothing yet: who is turned away is told so once they can hear it."""

    def close(self) -> None:
        """End at once: there is nobody who could be told."""
        self.transport.abort()

    def shutdown(self) -> None:
        """The gateway ends."""
        self.transport.abort()
