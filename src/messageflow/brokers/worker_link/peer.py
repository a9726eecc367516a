"""Who is at the other end of a Unix socket: this user, or a stranger. Never opens or closes a socket."""

from __future__ import annotations

import os
import socket
from struct import Struct

_credentials = Struct("3i")  # process, user, group


class StrangerError(OSError):
    """A process of another user is at the other end."""


def check_peer(link: socket.socket) -> None:
    """Refuse a stranger. Where the system does not tell, the directory's mode is what keeps others out.

    Raises:
        StrangerError: the other end belongs to another user.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return
    process, user, _ = _credentials.unpack(link.getsockopt(socket.SOL_SOCKET, option, _credentials.size))
    if user != os.geteuid():
        raise StrangerError(f"process {process} there belongs to user {user}, not to {os.geteuid()}")
