"""Programs as users have them, each run in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import messageflow

GREENLETS = """
import sys
from gevent import monkey
monkey.patch_all()
import gevent
from messageflow import Flow

flow = Flow(sys.argv[1])
turns = []

def work(number):
    for turn in range(5):
        turns.append(number)
        flow.push(f"user{number}", "t", turn)

gevent.joinall([gevent.spawn(work, number) for number in range(20)], raise_error=True, timeout=20)
print(len(turns), turns != sorted(turns))
"""


def run(program: str, *arguments: object, warnings: str = "error") -> str:
    """Run a program to its good end and return what it printed. A warning counts as an error."""
    done = subprocess.run(
        [sys.executable, "-W", warnings, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": str(Path(messageflow.__file__).parent.parent)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()
