"""The protocol of Redis as bytes: commands packed, replies taken apart as they arrive. Parsed by hiredis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hiredis import ProtocolError, Reader

from messageflow.client_io.codec import CLOSED, PENDING


class RepliesDecoder:
    """The replies on one connection; see `kernel.Decoder`.

    Args:
        error: makes a value of the text of a reply that is an error.
    """

    __slots__ = ("_reader",)

    def __init__(self, error: Callable[[str], Exception]) -> None:
        self._reader = Reader(replyError=error, notEnoughData=PENDING)

    def feed(self, data: bytes) -> None:
        self._reader.feed(data)

    def take(self) -> Any:
        try:
            return self._reader.gets()
        except ProtocolError as error:
            raise OSError(f"what answers does not speak the protocol of Redis: {error}") from None

    def end(self) -> None:
        raise ConnectionResetError(CLOSED)

    def is_idle(self) -> bool:
        return not self._reader.has_data()
