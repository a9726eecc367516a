"""Addresses of ZeroMQ, as the setting `zeromq` names them: where backends of the ancestors push.

The gateway listens there, and a backend's `Flow` connects there; both read the same variable. An address that begins
with `pub+` is for backends that have PUB sockets, any other for those that have PUSH. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

PUB = "pub+"
_WIDE = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # hosts one listens on, and how they are reached


class ZeromqAddress(NamedTuple):
    """One address.

    Args:
        scheme: `tcp` or `ipc`.
        place: host and port, or a path.
        is_pub: whether those who connect have PUB sockets.
    """

    scheme: str
    place: str
    is_pub: bool = False

    def __str__(self) -> str:
        return f"{PUB * self.is_pub}{self.endpoint}"

    @property
    def endpoint(self) -> str:
        """What a socket is bound to."""
        return f"{self.scheme}://{self.place}"

    @property
    def host(self) -> str:
        """Of `tcp`, where it listens; else empty."""
        return self.place.rpartition(":")[0] if self.scheme == "tcp" else ""

    @property
    def is_file(self) -> bool:
        """Whether it is a path, whose permissions say who connects; one with `@` is a name for all of a machine."""
        return self.scheme == "ipc" and not self.place.startswith("@")

    @property
    def target(self) -> str:
        """What a socket of this machine connects to."""
        if self.scheme == "ipc":
            return self.endpoint
        return f"tcp://{_WIDE.get(self.host, self.host)}:{self.place.rpartition(':')[2]}"


def parse_zeromq_address(text: str) -> ZeromqAddress:
    """Read an address.

    Raises:
        ValueError: it is none that can be listened on.
    """
    bare = text.removeprefix(PUB)
    scheme, separator, place = bare.partition("://")
    if separator and scheme == "ipc" and place and not place.endswith("/"):
        return ZeromqAddress(scheme, place, bare != text)
    host, _, port = place.rpartition(":")
    if scheme == "tcp" and host and "/" not in host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        host = "127.0.0.1" if host == "localhost" else host  # a name is none that ZeroMQ listens on
        return ZeromqAddress(scheme, f"{host}:{int(port)}", bare != text)
    raise ValueError("not an address of ZeroMQ")
