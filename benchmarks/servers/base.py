"""A server under test: how it is started, subscribed to and published through, and what it costs while it runs.

The description (`Server`) is a value; `running` turns it into processes and takes them away again. CPU and memory are
those of all its processes together. It never publishes or subscribes itself.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

START_SECONDS = 15.0
STOP_SECONDS = 5.0


class ServerFailed(Exception):
    """A server did not start, or ended while it was being measured."""


@dataclass(frozen=True, slots=True)
class SubscribeSide:
    """What a subscriber says to this server.

    Args:
        path: the path to upgrade at.
        first_frames: from a number of connections, the first frame of each; None if upgrading is subscribing.
        ready_text: what the server's answer to the first frame contains once the subscription stands.
        answer_pings: whether a `{}` is a ping that has to be answered.
        engine_io: whether a `2` is a ping that has to be answered, as in Engine.IO.
        stream: whether a first frame is a whole HTTP request instead, and its answer a stream of lines.
        other_ports: where further servers listen, over which subscribers are dealt out together with this one.
    """

    path: str
    first_frames: Callable[[int], Iterable[str]] | None = None
    ready_text: str = ""
    answer_pings: bool = False
    engine_io: bool = False
    stream: bool = False
    other_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishSide:
    """The HTTP request that publishes a text to every subscriber."""

    path: str
    body: Callable[[str], str]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be started on a port of its own.

    `subscribe` and `publish` are left as they are for one that nobody upgrades to, such as Redis; `directory` is where
    it is started, by default here.
    """

    name: str
    command: tuple[str, ...]
    port: int
    subscribe: SubscribeSide = SubscribeSide("/")
    publish: PublishSide = PublishSide("/", str)
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None


class Running:
    """The processes of a started server, and what they have used so far."""

    def __init__(self, server: Server, process: subprocess.Popen[bytes]) -> None:
        self.server = server
        self._process = process
        self._root = psutil.Process(process.pid)

    def processes(self) -> list[psutil.Process]:
        """The server's first process and all that descend from it."""
        return [self._root, *self._root.children(recursive=True)]

    def workers(self) -> list[psutil.Process]:
        """The processes that the server's first process has started."""
        return self._root.children()

    def terminate(self) -> None:
        """Ask the server to end, as a deploy does."""
        self._process.terminate()

    def kill(self) -> None:
        """End the server's first process as a crash does, without a word to it."""
        self._process.kill()
        self._process.wait()

    def wait(self, seconds: float) -> int:
        """The exit status, once it has ended.

        Raises:
            ServerFailed: it has not after this many seconds.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"{self.server.name} has not ended after {seconds:.0f} s") from None

    def cpu_seconds(self) -> float:
        """User and system time of all processes together."""
        return sum(_cpu_seconds(one.pid) for one in self.processes())

    def rss_bytes(self) -> int:
        """Resident memory of all processes together."""
        return sum(one.memory_info().rss for one in self.processes())

    def peak_rss_bytes(self) -> int:
        """The most resident memory each process ever had, together."""
        return sum(_peak_bytes(one) for one in self.processes())


def _cpu_seconds(pid: int) -> float:
    """The CPU clock of a process, its threads of before included: /proc counts in ticks of 10 ms, this in nanoseconds.

    The clock's number is made as the C library's clock_getcpuclockid does.
    """
    return time.clock_gettime(~pid << 3 | 2)


def _peak_bytes(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def free_port() -> int:
    """A loopback port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(server: Server, scratch: Path) -> Iterator[Running]:
    """Start a server, wait until it accepts connections, and end it with all its processes afterwards.

    Args:
        server: what to start.
        scratch: a directory for its working files and its output.

    Raises:
        ServerFailed: it does not listen within START_SECONDS; the message carries the end of its output.
    """
    output = scratch / f"{server.name}-{server.port}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            server.command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **server.environment},
            cwd=server.directory,
            start_new_session=True,
        )
    try:
        _wait_until_listening(server, process, output)
        yield Running(server, process)
    finally:
        _end(process)


def _wait_until_listening(server: Server, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    tail = output.read_text(errors="replace")[-1500:]
    raise ServerFailed(f"{server.name} did not start: {' '.join(server.command)}\n{tail}")


def _end(process: subprocess.Popen[bytes]) -> None:
    descendants = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for descendant in descendants:
        try:  # psutil knows a process by its start too, and kills no other that has the number now
            descendant.kill()
        except psutil.NoSuchProcess:
            pass
