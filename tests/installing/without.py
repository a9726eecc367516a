"""Python without what is not everywhere: other libraries than the publisher's, and the parts of it that POSIX has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import messageflow

PUBLISHERS = ("msgspec", "httptools", "jwt")
"""What `pip install messageflow-push` brings."""

FINDER = """
import sys

class Only:
    def find_spec(self, name, path=None, target=None):
        library = name.partition(".")[0]
        if library not in allowed and library not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in list(sys.modules):
    if name.partition(".")[0] not in sys.stdlib_module_names and name != "__main__":
        del sys.modules[name]
sys.meta_path.insert(0, Only())
"""

POSIX = """
import os, sys
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty", "uvloop"):
    sys.modules[name] = None
for name in (
    "register_at_fork fork forkpty getuid geteuid getgid posix_fallocate pwrite pread sched_getaffinity "
    "sched_setaffinity O_CLOEXEC killpg"
).split():
    if hasattr(os, name):
        delattr(os, name)
"""
"""What Windows and, in part, macOS do not have, taken away before anything else is imported."""

COMMAND = """
import runpy
sys.argv[0] = "messageflow"
runpy.run_module("messageflow.cli", run_name="__main__", alter_sys=False)
"""


def only(*libraries: str) -> str:
    """Return a program that leaves Python with these libraries and messageflow."""
    allowed = ("messageflow", *libraries)  # its module is one of the machinery's, as in a traceback of Python's own
    return f"exec({FINDER!r}, {{'__name__': 'importlib.only', 'allowed': {allowed!r}}})\nimport sys\n"


def command(prelude: str, arguments: Sequence[str]) -> list[str]:
    """Return the command line that runs `messageflow` after a prelude."""
    return [sys.executable, "-c", prelude + COMMAND, *arguments]


def run(arguments: Sequence[str], environment: Iterable[tuple[str, str]] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command line, with messageflow on the path, to its end."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")}
    root = str(Path(messageflow.__file__).parents[1])
    return subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        timeout=50,
        env={**kept, "PYTHONPATH": root, **dict(environment)},
        check=False,
    )
