"""Examples as a person starts them: a copy of the folder, its one command, a free port."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import Running

BUILD_SECONDS = 90  # some make a database, or the script of their page, before they start
EXAMPLES = Path(__file__).parents[2] / "examples"


def copy_example(name: str, directory: Path) -> Path:
    """Copy what is in the repository of an example, so that what it writes stays out of there."""
    made = shutil.ignore_patterns("node_modules", "__pycache__", "run", "log")
    return Path(shutil.copytree(EXAMPLES / name, directory / name, ignore=made, dirs_exist_ok=True))


def install_packages(copied: Path) -> None:
    """Give a copy the packages of its `package-lock.json`: npm takes long, so they are installed once a checkout."""
    original = EXAMPLES / copied.name
    lock, installed = original / "package-lock.json", original / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime <= lock.stat().st_mtime:
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=original, check=True)
    (copied / "node_modules").symlink_to(original / "node_modules")


def make_environment(directory: Path, **more: str) -> dict[str, str]:
    """Return an environment with this Python's commands, and a home of its own for development keys."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MESSAGEFLOW_", "PYTEST_", "DJANGO_", "CELERY_"))}
    return {
        **kept,
        "XDG_DATA_HOME": str(directory / "home"),
        "MESSAGEFLOW_LOG_FORMAT": "json",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **more,
    }


@contextmanager
def example(name: str, directory: Path, *, port: int = 0, **environment: str) -> Iterator[Running]:
    """Start an example that is one process, or a script that ends all it has started, until the block ends."""
    process = subprocess.Popen(
        ["./start", "--port", str(port)],
        cwd=copy_example(name, directory),
        env=make_environment(directory, **environment),
        stderr=subprocess.PIPE,
        text=True,
    )
    started = Running(process)
    try:
        started.wait_until_started(BUILD_SECONDS)
        assert process.poll() is None, "".join(started.lines)
        yield started
    finally:
        if process.poll() is None:
            started.terminate()
        started.release()
