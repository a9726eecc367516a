"""What every part of the hub is given: time, tasks, a log with a rate, counters and limits.

The leaf of the hub: it knows no session and no channel. Owns the tasks of one hub, so that all end with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from messageflow.core.command_meter import CommandMeter
from messageflow.hub.counters import Counters
from messageflow.hub.limits import Limits
from messageflow.hub.rate_limited_log import RateLimitedLog

log = logging.getLogger("messageflow.hub")

T = TypeVar("T")

NEVER = float("inf")
REFRESH_MARGIN = 30.0  # seconds before the end at which a client should refresh, or a quarter of what is left


class Runtime:
    """The surroundings of one hub.

    Args:
        limits: what a client may cost.
        clock: monotonic seconds.
        wall: seconds since 1970, for the dates in tokens alone.

    Attributes:
        meter: holds a connection to its share of commands; None where there is no limit.
        commands_in_frame: commands one message may hold, see `Limits`.
        tasks: those that were spawned and have not ended.
    """

    __slots__ = ("_log", "clock", "commands_in_frame", "counters", "limits", "meter", "tasks", "wall")

    def __init__(self, limits: Limits, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.limits = limits
        self.clock = clock
        self.wall = wall
        self.counters = Counters()
        rate = limits.commands_per_second
        self.meter = CommandMeter(rate, limits.burst) if rate else None
        self.commands_in_frame = limits.commands_in_frame  # asked at each connect
        self.tasks: set[asyncio.Task[Any]] = set()
        self._log = RateLimitedLog(log, clock)

    def spawn(
        self, work: Coroutine[Any, Any, T], name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        """Run a task that belongs to the hub and ends with it; in a copy of the current context, or in this one."""
        task = asyncio.get_running_loop().create_task(work, name=name, context=context)
        self.tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", exc_info=error, extra={"task": task.get_name()})

    def log_limited(self, level: int, event: str, **fields: object) -> None:
        """Log an event that a client can cause, within a rate."""
        self.counters.logs_suppressed += not self._log(level, event, fields)

    def deadline(self, date: float | None) -> float:
        """Return a date of a token, None for never, as a time of the clock, which no step of the wall clock moves."""
        return NEVER if date is None else self.clock() + date - self.wall()

    def time_to_refresh(self, deadline: float) -> int:
        """Return the seconds after which a client should refresh, to be in time for `deadline`."""
        left = deadline - self.clock()
        return max(1, int(left - min(REFRESH_MARGIN, left / 4)))
