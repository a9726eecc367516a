"""Ports for what cannot be told to take any: given once each, whoever asks in whichever process of the tests.

A port that the system gave (`bind` to 0) and that was let go again is the system's to give again: to a server of the
test beside, or to a connection that somebody makes, between two lives of one server as well. These lie below those, and
a number that all processes of the tests share moves on with each, so that thousands of others are given before one
comes again.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

PORTS = range(10_240, 20_240)  # below what the system gives out, be it a port to listen on or one to connect from
BUS = 10_000  # how far above its port a node of a Redis Cluster speaks with the others; as many as there are ports


def free_port(*, bus: bool = False) -> int:
    """Return a port that nobody listens on, and whose bus port is free too where it is asked for."""
    while True:
        port = _next_port()
        try:
            for each in (port, port + BUS) if bus else (port,):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            continue
        return port


def _next_port() -> int:
    """Return the port after the one that was given last, to whomever."""
    descriptor = os.open(Path(tempfile.gettempdir()) / f"messageflow-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT)
    with open(descriptor, "r+") as given:
        fcntl.flock(given, fcntl.LOCK_EX)
        last = given.read()
        port = PORTS[(int(last) + 1 - PORTS.start if last else os.getpid()) % len(PORTS)]
        given.seek(0)
        given.write(f"{port}")  # all of them have five digits
    return port
