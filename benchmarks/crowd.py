"""The subscribers: drives `wsload` and reads what it counted.

It never publishes, and counts nothing itself: a Python subscriber would cost more than the server under test.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, Unpack

import msgspec

from benchmarks.servers.base import Server
from benchmarks.tools import native

SETTLE_SECONDS = 0.5  # what a server still does right after the last connection is not part of what follows


class CrowdFailed(Exception):
    """The subscribers could not connect, were cut off, or did not get all that was published."""


class Ready(msgspec.Struct, frozen=True):
    """What wsload says when every connection is subscribed."""

    ready: int
    seconds: float


class Manner(TypedDict, total=False):
    """How a crowd behaves.

    Args:
        expect: the number of publications, over all connections, after which it is done; 0 for no end.
        sample: measure the latency of every sample-th publication; 0 for none.
        opening: how many connections are being opened at a time; 200 unless told.
        retry: whether a connection that is refused with 503 tries again, at once; else it is a failure.
        quiet: seconds without a publication, after the first, upon which it takes what it has for all there is.
        busy_ns: nanoseconds that its one thread is busy with each publication.
    """

    expect: int
    sample: int
    opening: int
    retry: bool
    quiet: float
    busy_ns: int


class Received(msgspec.Struct, frozen=True):
    """What wsload counted over its life; times in milliseconds and seconds as the names say.

    `fewest` and `most` are publications at the connection that got fewest and most. `frames` are WebSocket frames:
    fewer than `publications` when the server put several into one.
    """

    ready: int
    closed: int
    close_reason: str
    frames: int
    publications: int
    fewest: int
    most: int
    lost: int
    repeated: int
    bytes: int
    pings: int
    refused: int
    span_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_s: float

    @property
    def per_second(self) -> float:
        """Publications delivered a second between the first and the last to arrive."""
        return self.publications / self.span_s if self.span_s else 0.0


class Crowd:
    """A crowd that is connected and counting."""

    def __init__(self, process: subprocess.Popen[str], ready: Ready, connections: int) -> None:
        self.ready = ready
        self.connections = connections
        self._process = process

    def wait(self, seconds: float) -> Received:
        """What the crowd counted once it has all it was told to expect.

        Raises:
            CrowdFailed: it has not after this many seconds, or a connection was cut off.
        """
        try:
            output, errors = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            received = self.stop()
            raise CrowdFailed(f"not everything arrived within {seconds:.0f} s: {received}") from None
        return self._checked(output, errors)

    def stop(self) -> Received:
        """What the crowd has counted until now; it goes away.

        Raises:
            CrowdFailed: a connection was cut off before.
        """
        self._process.send_signal(signal.SIGTERM)
        return self._checked(*self._process.communicate(timeout=30))

    def _checked(self, output: str, errors: str) -> Received:
        try:
            received = parse_received(output)
        except msgspec.DecodeError:
            raise CrowdFailed(f"wsload failed: {output}{errors}") from None
        if received.closed:
            raise CrowdFailed(f"{received.closed} of {self.connections} were cut off: {received}")
        return received


def parse_received(output: str) -> Received:
    """Read the line wsload ends with."""
    return msgspec.json.decode(output, type=Received)


@contextmanager
def crowd(server: Server, connections: int, scratch: Path, **manner: Unpack[Manner]) -> Iterator[Crowd]:
    """Subscribers to a running server, from when all of them are subscribed.

    Args:
        server: whom to connect to.
        connections: how many.
        scratch: a directory for the first frames.
        manner: see `Manner`.

    Raises:
        CrowdFailed: not all could subscribe.
    """
    ports = ",".join(map(str, (server.port, *server.subscribe.other_ports)))
    command = [native("wsload"), "--port", ports, "--connections", str(connections), "--timeout", "600"]
    for name, value in manner.items():
        flag = "--" + name.replace("_", "-")
        command += [flag] * bool(value) if isinstance(value, bool) else [flag, str(value)]
    command += _saying(server, connections, scratch)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()  # ends with wsload at the latest, which gives up by itself
        try:
            ready = msgspec.json.decode(line, type=Ready)
        except msgspec.DecodeError:
            raise CrowdFailed(line + process.communicate(timeout=10)[1]) from None
        time.sleep(SETTLE_SECONDS)
        yield Crowd(process, ready, connections)
    finally:
        process.kill()
        process.communicate()


def _saying(server: Server, connections: int, scratch: Path) -> list[str]:
    say = server.subscribe
    options = ["--path", say.path]
    if say.answer_pings:
        options.append("--answer-pings")
    if say.engine_io:
        options.append("--engine-io")
    if say.stream:
        options.append("--stream")
    if say.first_frames is None:
        return options
    with tempfile.NamedTemporaryFile("w", dir=scratch, prefix="frames-", delete=False) as file:
        file.writelines(escape(frame) + "\n" for frame in say.first_frames(connections))
    return [*options, "--first-frames", file.name, "--ready-text", say.ready_text]


def escape(frame: str) -> str:
    r"""A frame as one line of wsload's file: its newlines become `\n`, its carriage returns `\r`.

    Raises:
        ValueError: the frame holds a backslash, which wsload's file cannot say.
    """
    if "\\" in frame:
        raise ValueError(f"a first frame cannot hold a backslash: {frame}")
    return frame.replace("\n", "\\n").replace("\r", "\\r")
