"""The peers in Python, Django Channels and Flask-SocketIO, over a Redis or alone, in an environment of their own.

The environment is made from requirements/peers.txt the first time it is needed, and anew when that file has changed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from benchmarks.peers.sending import ASYNC_MODE, LAYER, PORT, REDIS_URL
from benchmarks.senders import ROOT, Program
from benchmarks.servers.base import PublishSide, Server, SubscribeSide, free_port
from benchmarks.tools import BINARIES, Unavailable

REQUIREMENTS = ROOT / "requirements" / "peers.txt"
ENVIRONMENT = BINARIES / "peers"
IN_MEMORY_LAYER = "channels.layers.InMemoryChannelLayer"
PUBLISH = PublishSide("/publish", str)  # of all peers that take a text as it is
PEERS = "Django Channels, Flask-SocketIO and sse-starlette"
INSTALL_SECONDS = 600
SOCKET_IO = SubscribeSide(
    path="/socket.io/?EIO=4&transport=websocket",
    first_frames=lambda connections: repeat("40", connections),  # Socket.IO's "connect"
    ready_text="40{",
    engine_io=True,
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer: what its subscribers connect to, and what sends."""

    server: Server
    sender: Program


def channels(url: str, layer: str = IN_MEMORY_LAYER) -> Peer:
    """Django Channels under uvicorn, with one of the channel layers of channels_redis, or in memory without a URL.

    Raises:
        Unavailable: it cannot be installed.
    """
    port = free_port()
    serve = ("-m", "uvicorn", "benchmarks.peers.channels_app:application", "--port", str(port))
    server = Server(
        name="Channels",
        command=(str(python()), *serve, "--log-level", "warning", "--backlog", "4096"),
        port=port,
        subscribe=SubscribeSide("/"),
        publish=PUBLISH,
        environment=variables(url, {LAYER: layer}),
    )
    return Peer(server, Program("channels_sender", str(python()), server.environment))


def flask_socketio(url: str, mode: str = "gevent") -> Peer:
    """Flask-SocketIO on gevent or on threads, with its Redis queue, or alone without a URL.

    Raises:
        Unavailable: it cannot be installed.
    """
    port = free_port()
    server = Server(
        name="Flask-SocketIO",
        command=(str(python()), "-m", "benchmarks.peers.flask_socketio_app"),
        port=port,
        subscribe=SOCKET_IO,
        publish=PUBLISH,
        environment=variables(url, {PORT: str(port), ASYNC_MODE: mode}),
    )
    return Peer(server, Program("flask_socketio_sender", str(python()), server.environment))


def python_socketio() -> Server:
    """python-socketio below uvicorn, alone.

    Raises:
        Unavailable: it cannot be installed.
    """
    port = free_port()
    serve = ("-m", "uvicorn", "benchmarks.peers.socketio_app:application", "--port", str(port))
    return Server(
        name="python-socketio",
        command=(str(python()), *serve, "--log-level", "warning", "--backlog", "4096"),
        port=port,
        subscribe=SOCKET_IO,
        environment=variables("", {}),
    )


def variables(url: str, more: Mapping[str, str]) -> dict[str, str]:
    """What a peer's programs are told; they find each other from the root of the project, which is not installed."""
    return {REDIS_URL: url, "PYTHONPATH": str(ROOT), **more}


def python() -> Path:
    """The interpreter that has the peers.

    Raises:
        Unavailable: they cannot be installed; says why.
    """
    program, installed = ENVIRONMENT / "bin" / "python", ENVIRONMENT / REQUIREMENTS.name
    wanted = REQUIREMENTS.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        _run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))
        _run(str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS))
        installed.write_text(wanted)
    return program


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{PEERS} cannot be installed within {INSTALL_SECONDS} s") from None
    if done.returncode:
        raise Unavailable(f"{PEERS} cannot be installed: {(done.stderr or done.stdout)[-500:].strip()}")
