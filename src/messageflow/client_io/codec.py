"""The contract of a codec: what comes back on a connection, taken apart as it arrives. Pure."""

from __future__ import annotations

from typing import Any, Protocol

PENDING = object()  # what a decoder gives while no reply is complete
CLOSED = "the connection was closed"


class Malformed(Exception):
    """What came back is nothing that the codec could read, and never will be."""


class Decoder(Protocol):
    """Takes apart what comes back on one connection. Knows no I/O."""

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrived.

        Raises:
            Malformed, OSError: they cannot be read.
        """

    def take(self) -> Any:
        """Return the next complete reply, `PENDING` while there is none.

        Raises:
            Malformed, OSError: what came cannot be read.
        """

    def end(self) -> None:
        """Take that the other side closed; there may be one more reply, which ends so.

        Raises:
            ConnectionResetError: there is none.
        """

    def is_idle(self) -> bool:
        """Whether all that came has been taken, and the connection may carry another request."""
