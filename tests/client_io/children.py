"""Children of the process that tests run in."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

CHILD_SECONDS = 10.0
"""Time for what takes a child some microseconds."""


def in_child(work: Callable[[], bool], fork: Callable[[], int] = os.fork) -> bool:
    """Fork, run `work` in the child and tell whether it returned true.

    A thread of ours that asks for the interpreter at the moment of a fork without Python's hooks is not in the child,
    which waits for ever for it to take its turn: then another child is tried.
    """
    for _ in range(5):
        child = fork()
        if child == 0:
            status = 1
            try:
                status = 0 if work() else 1
            finally:
                os._exit(status)
        if (ended := exit_code(child)) is not None:
            return ended == 0
    raise AssertionError("no child came to its end")


def exit_code(child: int) -> int | None:
    """Return the exit code of a child; None when it had to be killed since it did not end."""
    over = time.monotonic() + CHILD_SECONDS
    while time.monotonic() < over:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
