"""A copy of the repository in which one bug at a time is planted and the tests that should notice it are run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

from tests.mutants.planted import ROOT, Planted

COPIED = ("src", "tests", "client", "examples", "benchmarks", "docs", "scripts", "requirements")
FILES = ("pyproject.toml", "README.md", "Makefile", "LICENSE", "CHANGELOG.md")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", "bin", "*.pyc")

SECONDS = 240.0
"""A bug that makes its test hang for so long is killed, too."""


class Fate(StrEnum):
    """What became of a bug."""

    KILLED = "killed"
    SURVIVED = "survived"
    BROKEN = "its test fails without it"


class Laboratory:
    """One copy, in which one bug is tried after the other.

    Args:
        place: a directory that is empty.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        for name in COPIED:
            shutil.copytree(ROOT / name, place / name, ignore=LEFT_OUT, symlinks=True)
        for name in FILES:
            shutil.copy(ROOT / name, place / name)
        (place / "client" / "node_modules").symlink_to(ROOT / "client" / "node_modules")

    def healthy(self, killed_by: str) -> bool:
        """Return whether a test passes without any bug."""
        return self._passes(killed_by)

    def fate(self, planted: Planted) -> Fate:
        """Plant a bug, run its test, and take the bug away again."""
        path = self._place / planted.file
        before = path.read_text()
        path.write_text(planted.applied(before))
        try:
            return Fate.SURVIVED if self._passes(planted.killed_by) else Fate.KILLED
        finally:
            path.write_text(before)

    def _passes(self, killed_by: str) -> bool:
        if killed_by.startswith("client/"):
            command = ["node", "scripts/test.mjs"]
            return self._run(command, self._place / "client", {"MESSAGEFLOW_TESTS": Path(killed_by).name})
        quiet = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        return self._run([sys.executable, "-B", "-m", "pytest", *quiet, *killed_by.split()], self._place, {})

    def _run(self, command: list[str], directory: Path, further: dict[str, str]) -> bool:
        """Return whether a command ends well in time; all that it started is ended with it."""
        environment = {**os.environ, **further, "PYTHONPATH": str(self._place / "src")}
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(SECONDS) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
