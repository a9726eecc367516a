"""Where sockets of ours are connected to, how each is set up, and what TLS trusts unless told otherwise."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

CHUNK = 65536  # bytes read at once
KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))  # seconds, seconds, times

Target = tuple[int, int, int, Any]
"""Family, kind and protocol of a socket, and what it is connected to."""


def list_unix_targets(path: str) -> list[Target]:
    """Return the one there is for a Unix socket."""
    return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, path)]


def list_tcp_targets(found: Iterable[tuple[int, int, int, str, Any]]) -> list[Target]:
    """Return those that `getaddrinfo` has found, in its order."""
    return [(family, kind, protocol, where) for family, kind, protocol, _, where in found]


def set_up(connection: socket.socket) -> None:
    """Let a connected TCP socket send at once, and find out when nobody is there any more."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


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


@lru_cache(maxsize=1)
def get_system_tls() -> ssl.SSLContext:
    """Return the one context of this process: the system's authorities, or those of SSL_CERT_FILE."""
    import ssl

    return ssl.create_default_context()
