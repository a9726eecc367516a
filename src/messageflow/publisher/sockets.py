"""What can be asked of a connected socket without waiting."""

from __future__ import annotations

import socket


def is_quiet(connection: socket.socket) -> bool:
    """Whether the other side has neither closed nor said anything since it was last read."""
    try:
        connection.settimeout(0)
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError as error:  # over TLS the same news comes as SSLWantReadError
        return type(error).__name__ == "SSLWantReadError"
    return False
