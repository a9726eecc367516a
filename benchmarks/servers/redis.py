"""The Redis under our gateways and under the peers: on a free port, with an append-only file, as Debian packages it.

Its settings are the same for all. It never knows who uses it.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers.base import Running, Server, ServerFailed, free_port, running
from benchmarks.tools import require

SETTINGS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
SETTINGS_TOLD = "redis-server with appendonly yes, appendfsync everysec"
START_SECONDS = 15.0
LOOK_EVERY = 0.01


def redis(scratch: Path) -> Server:
    """Redis on a free port, with its append-only file in a directory of its own.

    Raises:
        Unavailable: redis-server is missing and cannot be installed.
    """
    program = require("redis-server")
    home = Path(tempfile.mkdtemp(prefix="redis-", dir=scratch))
    port = free_port()
    return Server("Redis", (program, "--port", str(port), "--dir", str(home), *SETTINGS), port)


@contextmanager
def running_redis(server: Server, scratch: Path) -> Iterator[Running]:
    """Start Redis, wait until it has read its file and answers, and end it afterwards.

    Raises:
        ServerFailed: it does not answer within START_SECONDS.
    """
    with running(server, scratch) as process:
        wait_until_answering(server.port)
        yield process


def wait_until_answering(port: int) -> float:
    """Wait for the first answer of a Redis that starts; when that was, on the monotonic clock.

    Raises:
        ServerFailed: it does not answer within START_SECONDS.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0) as plug:
                plug.sendall(b"PING\r\n")
                if plug.recv(64).startswith(b"+PONG"):  # else it is reading its file
                    return time.monotonic()
        except OSError:  # nobody listens yet
            pass
        time.sleep(LOOK_EVERY)
    raise ServerFailed(f"Redis does not answer on port {port} after {START_SECONDS:.0f} s")


def url(server: Server) -> str:
    """What a gateway is told."""
    return f"redis://127.0.0.1:{server.port}/0"
