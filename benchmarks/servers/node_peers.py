"""The peers on Node, ws and Socket.IO: small servers of ours in `peers/node`, with what they need beside them.

npm installs what the lock file names into `bin/node` the first time it is needed, and anew when that file has changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.peers.sending import PORT
from benchmarks.senders import ROOT
from benchmarks.servers.base import Server, SubscribeSide, free_port
from benchmarks.servers.peers import PUBLISH, SOCKET_IO
from benchmarks.tools import BINARIES, Unavailable

SOURCES = ROOT / "benchmarks" / "peers" / "node"
INSTALLED = BINARIES / "node"
INSTALL_SECONDS = 300
UWEBSOCKETS = (
    "uWebSockets.js is not in the npm registry, which takes no such name; its makers give it out from a repository, "
    "and what lies in the registry under like names is not theirs"
)


def ws(_: Path) -> Server:
    """The library ws.

    Raises:
        Unavailable: it cannot be installed.
    """
    return _server("ws", "ws_server.mjs", SubscribeSide("/"))


def socket_io(_: Path) -> Server:
    """Socket.IO on its own Engine.IO, which uses ws.

    Raises:
        Unavailable: it cannot be installed.
    """
    return _server("Socket.IO", "socket_io_server.mjs", SOCKET_IO)


def socket_io_on_uwebsockets(_: Path) -> Server:
    """Socket.IO on uWebSockets.js.

    Raises:
        Unavailable: always; says why.
    """
    raise Unavailable(UWEBSOCKETS)


def _server(name: str, program: str, subscribe: SubscribeSide) -> Server:
    port = free_port()
    return Server(
        name=name,
        command=(_node(), str(_installed() / program)),
        port=port,
        subscribe=subscribe,
        publish=PUBLISH,
        environment={PORT: str(port), "NODE_ENV": "production"},
    )


def _node() -> str:
    found = shutil.which("node", path=f"{ROOT / '.venv' / 'node' / 'bin'}:{os.environ.get('PATH', '')}")
    if found is None:
        raise Unavailable("node is missing: `make client` installs it, or Debian's nodejs and npm")
    return found


def _installed() -> Path:
    """The directory with the servers and what they import."""
    lock, there = SOURCES / "package-lock.json", INSTALLED / "package-lock.json"
    if not there.exists() or there.read_text() != lock.read_text():
        shutil.rmtree(INSTALLED, ignore_errors=True)
        shutil.copytree(SOURCES, INSTALLED)
        there.unlink()  # it is there again once all is
        shutil.copy(lock, INSTALLED / "npm-shrinkwrap.json")
        _run(str(Path(_node()).parent / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
        shutil.copy(lock, there)
    for source in SOURCES.glob("*.mjs"):
        shutil.copy(source, INSTALLED / source.name)
    return INSTALLED


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, cwd=INSTALLED)
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Unavailable(f"ws and Socket.IO cannot be installed: {error}") from None
    if done.returncode:
        raise Unavailable(f"ws and Socket.IO cannot be installed: {(done.stderr or done.stdout)[-500:].strip()}")
