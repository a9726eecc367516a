"""The dialects and transports with which the tests of sessions are run."""

from __future__ import annotations

from messageflow.testing.memory_connection import NATIVE_LINES, Carrier
from tests.hub import one_way_toy, toy_dialect

CARRIERS: dict[str, Carrier] = {
    "native": NATIVE_LINES,
    "toy dialect": toy_dialect.CARRIER,
    "one-way toy": one_way_toy.CARRIER,
}
