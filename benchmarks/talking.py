"""Those who say something: WebSockets that send as fast as what they said comes back to them.

Threads with a socket each. They count what comes by a mark and never parse it, so that they cost little.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from benchmarks.publishing import payload
from benchmarks.servers.base import Server

TALKERS = 10
UNDER_WAY = 40  # that were said by any, and have not come back
MARKS = 4  # '#' in what is said, wherever a read cuts it
SILENCE = 20.0  # seconds without anything upon which a talker gives up
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Conversation:
    """All who talk to one server.

    Args:
        server: whom.
        say: makes the frame's text of what is said.
    """

    def __init__(self, server: Server, say: Callable[[str], str]) -> None:
        self._server = server
        self._say = say
        self._lock = threading.Lock()
        self.said = 0

    def hold(self, seconds: float) -> None:
        """Talk for so long."""
        first = iter(self._server.subscribe.first_frames(TALKERS) if self._server.subscribe.first_frames else ())
        over = time.monotonic() + seconds
        threads = [
            threading.Thread(target=self._talk, args=(self._open(next(first, "")), over), daemon=True)
            for _ in range(TALKERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _open(self, first: str) -> socket.socket:
        """Return a connection that is in."""
        server = self._server
        link = socket.create_connection(("127.0.0.1", server.port), SILENCE)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(HANDSHAKE.format(path=server.subscribe.path, port=server.port).encode())
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += link.recv(65536)
        if first:
            link.sendall(frame(first))
            while server.subscribe.ready_text.encode() not in seen:
                seen += link.recv(65536)
        return link

    def _talk(self, link: socket.socket, over: float) -> None:
        marks = 0  # of all that was said, for all were there before anybody spoke
        with link:
            while True:
                with self._lock:
                    goes_on = time.monotonic() < over
                    speaks = goes_on and self.said - marks // MARKS < UNDER_WAY
                    self.said += speaks
                    number = self.said
                if speaks:
                    link.sendall(frame(self._say(payload(number, time.time_ns()))))
                    continue
                if not goes_on and marks // MARKS >= self.said:
                    return
                try:
                    heard = link.recv(1 << 20)
                except TimeoutError:
                    return  # some were lost
                if not heard:
                    return  # it was cut off
                marks += heard.count(b"#")


def frame(text: str) -> bytes:
    """Return a text as a masked frame; the mask of zeros leaves it as it is."""
    data = text.encode()
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126, *size.to_bytes(2, "big")])
    return b"\x81" + length + bytes(4) + data
