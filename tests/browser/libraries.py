"""The libraries that change pages, as their registries have them: installed once a checkout, beside this module."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent / "html"
NPM = HERE / "node_modules"
PYPI = NPM / "of-pypi"


def install_libraries() -> None:
    """Install them, unless they are there; one process at a time."""
    with (HERE / "package.json").open() as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        lock, installed = HERE / "package-lock.json", NPM / ".package-lock.json"
        if not installed.exists() or installed.stat().st_mtime <= lock.stat().st_mtime:
            _run("npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
        if not list(PYPI.glob("starhtml-*.dist-info")):
            told = ["--quiet", "--no-deps", "--ignore-requires-python", "--require-hashes", "--only-binary", ":all:"]
            _run(sys.executable, "-m", "pip", "install", *told, "--target", str(PYPI), "-r", "requirements.txt")


def find_script(name: str) -> Path:
    """Return where a script is, by its path in its package."""
    return next(found for found in (NPM / name, PYPI / name) if found.is_file())


def _run(*command: str) -> None:
    subprocess.run(command, cwd=HERE, check=True, timeout=150)
