"""What every sender does: warm up, wait for a word, send numbered texts, and say what it took.

Of the standard library alone, since each runs under another interpreter.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import NamedTuple

GROUP = "everybody"
NOBODY = "nobody"  # a group to warm up with: connections are opened, and nothing is delivered
EVENT = "message"
SAID = "say"  # what a page calls what it says
PAYLOAD_BYTES = 128
REDIS_URL = "BENCHMARK_REDIS_URL"  # the variables of the environment that say what to do
LAYER = "BENCHMARK_CHANNEL_LAYER"
ASYNC_MODE = "BENCHMARK_ASYNC_MODE"
PORT = "BENCHMARK_PORT"
FLOW_URL = "BENCHMARK_FLOW_URL"
API_KEY = "BENCHMARK_API_KEY"
CHANNEL = "BENCHMARK_CHANNEL"


class Order(NamedTuple):
    """What a sender is to send, and how many sends are to be under way."""

    texts: int
    at_once: int


def order() -> Order:
    """What the command line asks for."""
    return Order(int(sys.argv[1]), int(sys.argv[2]))


def redis_url() -> str:
    """Where Redis is; nothing where a server stands alone."""
    return os.environ.get(REDIS_URL, "")


def text(number: int) -> str:
    """A text as the subscribers count them, of PAYLOAD_BYTES."""
    return f"##{number}##@@{time.time_ns()}@@".ljust(PAYLOAD_BYTES, "x")


class Clock:
    """Time and CPU, from when the benchmark gives the word."""

    def __init__(self) -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        self._started, self._used = time.monotonic(), time.process_time()

    def report(self) -> None:
        """Say how long it took until now."""
        told = {"seconds": time.monotonic() - self._started, "cpu_seconds": time.process_time() - self._used}
        sys.stdout.write(json.dumps(told) + "\n")
