"""What every sender does: so many numbered texts, and a line about it in the end. Of the standard library alone."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import NamedTuple

GROUP = "everybody"
EVENT = "message"
PAYLOAD_BYTES = 128
REDIS_URL = "BENCHMARK_REDIS_URL"  # the variables of the environment that tell a peer what to do
LAYER = "BENCHMARK_CHANNEL_LAYER"
PORT = "BENCHMARK_PORT"


class Order(NamedTuple):
    """What a sender is to send, and how many sends are to be under way."""

    texts: int
    at_once: int


def order() -> Order:
    """What the command line asks for."""
    return Order(int(sys.argv[1]), int(sys.argv[2]))


def redis_url() -> str:
    """Where Redis is."""
    return os.environ[REDIS_URL]


def text(number: int) -> str:
    """A text as the subscribers count them, of PAYLOAD_BYTES."""
    return f"##{number}##@@{time.time_ns()}@@".ljust(PAYLOAD_BYTES, "x")


class Clock:
    """Time and CPU from now on."""

    def __init__(self) -> None:
        self._started, self._used = time.monotonic(), time.process_time()

    def report(self, accepted: int) -> None:
        """Say how many were accepted in this time."""
        told = {
            "accepted": accepted,
            "seconds": time.monotonic() - self._started,
            "cpu_seconds": time.process_time() - self._used,
        }
        sys.stdout.write(json.dumps(told) + "\n")
