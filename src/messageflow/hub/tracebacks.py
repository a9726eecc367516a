"""Where the application's code stands when a hook of it fails: tracebacks that begin there.

Pure.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

OUR_WAY = frozenset(("messageflow", "asyncio", "concurrent"))  # between a question and the function that is asked


def trace_coroutine(waiting: Any) -> TracebackType | None:
    """Return where a coroutine waits, from what was called first on, as a traceback."""
    frames = []
    while (frame := getattr(waiting, "cr_frame", None)) is not None:
        frames.append(frame)
        waiting = waiting.cr_await
    trace: TracebackType | None = None
    for frame in reversed(frames):
        trace = TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
    return trace


def shorten(error: BaseException) -> BaseException:
    """Return an error whose traceback begins in the application's code; without one where it has not come to that."""
    at = error.__traceback__
    while at is not None and at.tb_frame.f_globals.get("__name__", "").partition(".")[0] in OUR_WAY:
        at = at.tb_next
    return error.with_traceback(at)
