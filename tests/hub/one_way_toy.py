"""A toy transport: one way, a block of `data:` lines a message, one block a write, comments as pings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from messageflow.testing.memory_connection import Carrier


class OneWayToy:
    """A `hub.transport.Transport` that is as far from a WebSocket as can be."""

    one_way = True
    name = "toy"
    in_pieces = False
    probe = b""

    def framing(self, *, text: bool) -> Callable[[bytes], bytes]:
        assert text, "blocks are text"
        return _block

    def shared_framing(self, *, text: bool) -> Callable[[bytes], bytes] | None:
        return None

    def ping(self, frame: bytes) -> bytes:
        return b": are you there?\n\n"


def _block(message: bytes) -> bytes:
    return b"".join(b"data: %b\n" % line for line in message.split(b"\n")) + b"\n"


def read(data: bytes) -> list[dict[str, Any]]:
    """Return the messages in the block that was written at once."""
    assert data.endswith(b"\n\n")
    assert data.count(b"\n\n") == 1, "more than a block in one write"
    return [msgspec.json.decode(line.removeprefix(b"data: ")) for line in data.splitlines() if line]


CARRIER = Carrier(transport=OneWayToy(), read=read)
