"""The contract of a dialect that is spoken over the body of an HTTP response, where the client says nothing more."""

from __future__ import annotations

from typing import Protocol

from messageflow.core.codes import Disconnect, ErrorCode
from messageflow.dialects.base import Dialect


class StreamDialect(Dialect, Protocol):
    """What is read from a stream until it ends. Pure, as every dialect."""

    def read_error(self, message: bytes) -> ErrorCode | None:
        """Return the refusal that a message of the encoder's is, None where it is anything else."""

    def disconnect(self, disconnect: Disconnect) -> bytes:
        """Return the last message of a stream: why the server ends it."""
