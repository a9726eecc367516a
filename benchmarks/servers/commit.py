"""Ours as it was: the gateway of another commit of this repository, run by the interpreter and libraries of today."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.plan import MakeServer
from benchmarks.servers.base import Server
from benchmarks.servers.gateway import gateway
from benchmarks.tools import Unavailable

ROOT = Path(__file__).parents[2]


def at_commit(commit: str, scratch: Path) -> MakeServer:
    """What makes the gateway of a commit; its sources are laid out once.

    Args:
        commit: anything that names one to git.
        scratch: a directory that outlives the servers.

    Raises:
        Unavailable: git knows no such commit here, or there is no git.
    """
    sources = sources_at(commit, scratch)

    def make(home: Path) -> Server:
        today = gateway(home)
        return replace(
            today,
            name=f"messageflow at {commit}",
            environment={**today.environment, "PYTHONPATH": str(sources)},
        )

    return make


def sources_at(commit: str, scratch: Path) -> Path:
    """Lay out the package as it was at a commit; return what to put on PYTHONPATH.

    Raises:
        Unavailable: git knows no such commit here, or there is no git.
    """
    place = Path(tempfile.mkdtemp(prefix="commit-", dir=scratch))
    archive = place / "src.tar"
    _run("git", "-C", str(ROOT), "archive", "--output", str(archive), commit, "src")
    _run("tar", "-xf", str(archive), "-C", str(place))
    return place / "src"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:2])} failed: {done.stderr.strip()}")
