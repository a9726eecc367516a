"""The publishers: one request after another over a kept-alive connection, paced or not; or many at once by `wrk`.

A published text is marked for wsload with its number and the moment it was due, and padded to a size.
"""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers.base import Server
from benchmarks.tools import require

PAYLOAD_BYTES = 128


class PublishFailed(Exception):
    """A server answered a publish with anything but success."""


def payload(number: int, sent_ns: int, size: int = PAYLOAD_BYTES) -> str:
    """A text of `size` bytes that wsload can count and whose age it can tell."""
    return f"##{number}##@@{sent_ns}@@".ljust(size, "x")


class Publisher:
    """One client that publishes and waits for the answer, then may publish again."""

    def __init__(self, server: Server) -> None:
        self._side = server.publish
        self._headers = dict(server.publish.headers)
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def publish(self, text: str) -> None:
        """Publish one text.

        Raises:
            PublishFailed: the answer is not a success.
        """
        self._connection.request("POST", self._side.path, self._side.body(text), self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status >= 300 or b'"error"' in body:
            raise PublishFailed(f"{answer.status} {body[:300]!r}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def publish_in_sequence(server: Server, count: int) -> float:
    """Publish `count` texts, each as soon as the one before is answered; the seconds it took."""
    publisher = Publisher(server)
    started = time.monotonic()
    for number in range(count):
        publisher.publish(payload(number, time.time_ns()))
    publisher.close()
    return time.monotonic() - started


def publish_at_rate(servers: Sequence[Server], count: int, per_second: float, size: int = PAYLOAD_BYTES) -> float:
    """Publish `count` texts evenly spaced; the seconds it took.

    A text that is late because the one before was not answered in time counts from when it was due, so that a server
    cannot better its latency by holding up the load.

    Args:
        servers: where to, in turn; one server's publish sides may differ in the channel. Each numbers its texts.
        count: how many texts.
        per_second: how many of them a second.
        size: bytes of each.
    """
    publishers = [Publisher(server) for server in servers]
    started = time.time_ns()
    for number in range(count):
        due = started + int(number / per_second * 1e9)
        wait = due - time.time_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        own_number, turn = divmod(number, len(publishers))
        publishers[turn].publish(payload(own_number, time.time_ns() if wait > 0 else due, size))
    for publisher in publishers:
        publisher.close()
    return (time.time_ns() - started) / 1e9


@dataclass(frozen=True, slots=True)
class Burst:
    """What wrk says of a burst."""

    requests: int
    seconds: float
    refused: int


def publish_burst(server: Server, seconds: int, publishers: int, scratch: Path) -> Burst:
    """Publish from many connections at once for some seconds, each as soon as it has its answer.

    Raises:
        PublishFailed: wrk did not run to its end, or a request was refused.
    """
    script = scratch / f"burst-{server.port}.lua"
    script.write_text(lua(server))
    command = [require("wrk"), "-t1", f"-c{publishers}", f"-d{seconds}s", "-s", str(script)]
    command.append(f"http://127.0.0.1:{server.port}{server.publish.path}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    burst = parse_wrk(done.stdout)
    if burst.refused:
        raise PublishFailed(f"{burst.refused} of {burst.requests} publishes were refused")
    return burst


def lua(server: Server) -> str:
    """The script that makes wrk publish through a server."""
    side = server.publish
    lines = ["wrk.method = 'POST'", f"wrk.body = [==[{side.body(payload(1, 0))}]==]"]
    lines += [f"wrk.headers['{name}'] = '{value}'" for name, value in side.headers.items()]
    return "\n".join(lines) + "\n"


def parse_wrk(output: str) -> Burst:
    """Read the summary of wrk.

    Raises:
        PublishFailed: it is not one.
    """
    found = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if not found:
        raise PublishFailed(f"wrk gave no summary:\n{output}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", output)
    bad = int(refused[1]) if refused else 0
    bad += sum(map(int, errors.groups())) if errors else 0
    return Burst(int(found[1]), float(found[2]), bad)
