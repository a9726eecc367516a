"""The environment of somebody else's application, with the publisher installed into it: `.venv/beside`.

Made once and kept for as long as its requirements are the same. It has no pip and no build tool of its own, those of
the tests work for it: half of what the test took went into making them twice. The gateway has an environment of its
own, that of the tests.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / ".venv" / "beside"
PYTHON = DIRECTORY / "bin" / "python"
OURS = "messageflow-push"
REQUIREMENTS = ROOT / "requirements" / "beside.txt"
MADE_OF = DIRECTORY / "requirements.txt"


def pip(*arguments: str | Path) -> str:
    """Run pip for it, and return what it printed."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", PYTHON, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def versions() -> dict[str, str]:
    """Return what is installed there, but for the publisher."""
    paths = [str(path) for path in DIRECTORY.glob("lib/python*/site-packages")]
    return {one.name: one.version for one in distributions(path=paths) if one.name != OURS}


def make() -> None:
    """Make the environment of the application, as its own installation leaves it."""
    if MADE_OF.exists() and MADE_OF.read_text() == REQUIREMENTS.read_text():
        pip("uninstall", "--quiet", "--yes", OURS)
        return
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", DIRECTORY], check=True)
    pip("install", "--quiet", "--no-compile", "-r", REQUIREMENTS)
    MADE_OF.write_text(REQUIREMENTS.read_text())


def install(scratch: Path) -> None:
    """Install the publisher into it, as `pip install messageflow-push` would from the index: by its wheel."""
    build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*build, "--no-build-isolation", "--wheel-dir", scratch, ROOT], check=True)
    (wheel,) = scratch.glob("*.whl")
    pip("install", "--quiet", wheel)
