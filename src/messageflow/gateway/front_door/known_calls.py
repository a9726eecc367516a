"""Heads of calls that were let in, by their bytes, so that the same head need not be read and checked again.

A backend sends the same head again and again, but for the length of the body: reading and checking it takes 13 of the
150 µs that a push costs (benchmarks: push). Nobody else gets anything in here, and what is here is never changed.

Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from messageflow.gateway.front_door.endpoint import HttpEndpoint
from messageflow.gateway.front_door.head import Head

MOST = 1024  # heads: of a few backends, with every length that their calls have
HEAD_BYTES = 2048  # of one


class KnownCall(NamedTuple):
    """A head, and the endpoint of its path."""

    head: Head
    endpoint: HttpEndpoint


class KnownCalls:
    """The newest of them; when there are too many it begins anew."""

    def __init__(self) -> None:
        self._calls: dict[bytes, KnownCall] = {}
        self.get = self._calls.get  # by all bytes of the head, up to the empty line and with it

    def add(self, head: Head, endpoint: HttpEndpoint) -> None:
        """Remember the head of a call."""
        if len(head.raw) > HEAD_BYTES:
            return
        if len(self._calls) >= MOST:
            self._calls.clear()
        self._calls[head.raw] = KnownCall(head, endpoint)
