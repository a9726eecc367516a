"""The listening socket: bound, with what connections inherit from it, or why it cannot be."""

from __future__ import annotations

import errno
import socket
import sys

from messageflow.errors import ConfigurationError
from messageflow.gateway.tcp_options import prepare_listener

BACKLOG = 4096  # connections the kernel holds while the loop is busy, as after a restart
LAST_PORT = 65_535


def listen(host: str, port: int, spare: int = 0) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: the address.
        port: 0 for a free one.
        spare: how many ports after it are tried, one after another, while they are taken.

    Raises:
        ConfigurationError: the address is taken, not this machine's, or not allowed.
    """
    for tried in range(port, min(port + spare, LAST_PORT) + 1):
        try:
            return _listen(host, tried)
        except (OSError, UnicodeError) as error:
            problem = error
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                break
    upto = f" to {tried}" if tried > port else ""
    reason = getattr(problem, "strerror", None) or "that is no address"
    raise ConfigurationError(f"cannot listen on {host} port {port}{upto}: {reason}. {_way_out(problem)}") from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener: socket.socket | None = None
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":  # where it would let two gateways have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        prepare_listener(listener)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, UnicodeError):
        if listener is not None:
            listener.close()
        raise
    return listener


def _way_out(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror | UnicodeError) or number == errno.EADDRNOTAVAIL:
        return "--host takes an address of this machine: 127.0.0.1, or 0.0.0.0 for all"
    if number in (errno.EADDRINUSE, errno.EACCES):
        return "Is another gateway running? --port takes another port, --port 0 a free one"
    return "`ulimit -n` says how many files and sockets a process may have open"
