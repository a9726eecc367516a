"""The dialects and transports with which the tests of sessions are run."""

from __future__ import annotations

from typing import Any

import msgspec

from messageflow.gateway.stream_routes import EMULATED_EVENTS
from messageflow.testing.memory_connection import NATIVE_LINES, Carrier
from tests.dialects import official_protobuf
from tests.hub import one_way_toy, toy_dialect


def read_events(data: bytes) -> list[dict[str, Any]]:
    """Return the messages of the native dialect in events."""
    return [msgspec.json.decode(event.removeprefix(b"data: ")) for event in data.split(b"\n\n") if event]


CARRIERS: dict[str, Carrier] = {
    "native": NATIVE_LINES,
    "protobuf": official_protobuf.CARRIER,
    "emulated": Carrier(transport=EMULATED_EVENTS, read=read_events),
    "toy dialect": toy_dialect.CARRIER,
    "one-way toy": one_way_toy.CARRIER,
}
