"""A way between parent and worker on which open sockets travel, each with the bytes that were read from it already.

Owns its end of a Unix socket that keeps messages apart. Never waits: what has no room is not sent.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

SENT_BYTES = 1 << 19  # asked of the kernel, which grants what it may: more than any event loop reads at once

_MARK = b"."  # before what was read, which may be nothing: an empty message would be the end


def make_pair() -> tuple[socket.socket, socket.socket] | None:
    """Return both ends, None on a system that has no such sockets."""
    try:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:
        return None
    for end in ends:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_BYTES)
    return ends


class DescriptorChannel:
    """One end.

    Args:
        end: of `make_pair`; closed with this.
        receive: is given each socket that comes, and what was read from it.
    """

    def __init__(self, end: socket.socket, receive: Callable[[socket.socket, bytes], None]) -> None:
        self._end = end
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end, self._read)

    def send(self, descriptor: int, content: bytes) -> bool:
        """Send a copy of a socket and what was read from it. Returns False where that cannot be."""
        try:
            return bool(socket.send_fds(self._end, [_MARK, content], [descriptor]))
        except OSError:  # there is no room, it is too large, or nobody is at the other end
            return False

    def close(self) -> None:
        """Send and hear nothing more."""
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._end)
            self._end.close()

    def _read(self) -> None:
        try:
            content, descriptors, _, _ = socket.recv_fds(self._end, SENT_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not descriptors:  # the other end is gone, or no file could be opened here: the sender has let go of it
            if not content:
                self.close()
            return
        self._receive(socket.socket(fileno=descriptors[0]), content[len(_MARK) :])
