"""The environment of somebody else's application, with the publisher installed into it: `.venv/beside`.

Made once and kept. The gateway has an environment of its own, that of the tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / ".venv" / "beside"
PYTHON = DIRECTORY / "bin" / "python"
OURS = "messageflow-push"


def pip(*arguments: str | Path) -> str:
    """Run pip there, and return what it printed."""
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def versions() -> dict[str, str]:
    """Return what is installed there, but for the publisher and pip."""
    lines = (line.partition("==") for line in pip("freeze", "--exclude", OURS).splitlines())
    return {name: version for name, _, version in lines}


def make() -> None:
    """Make the environment of the application, as its own installation leaves it."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", DIRECTORY], check=True)
    pip("install", "--quiet", "-r", ROOT / "requirements/beside.txt")
    pip("uninstall", "--quiet", "--yes", OURS)


def install() -> None:
    """Install the publisher into it, as `pip install messageflow-push` would from the index."""
    pip("install", "--quiet", ROOT)
