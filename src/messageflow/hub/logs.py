"""Logging what clients cause: at most so many lines a second, and the rest counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

LINES_PER_SECOND = 10


class RateLimitedLog:
    """A logger that drops what comes too often, and says so in the next line it writes.

    Args:
        logger: where lines go.
        clock: monotonic seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float]) -> None:
        self._logger = logger
        self._clock = clock
        self._second = 0
        self._written = 0
        self._suppressed = 0

    def __call__(self, level: int, event: str, fields: Mapping[str, object]) -> bool:
        """Log, or not. Returns False when the line was dropped."""
        if not self._logger.isEnabledFor(level):
            return True
        second = int(self._clock())
        if second != self._second:
            self._second, self._written = second, 0
        if self._written >= LINES_PER_SECOND:
            self._suppressed += 1
            return False
        self._written += 1
        suppressed, self._suppressed = self._suppressed, 0
        self._logger.log(level, event, extra={**fields, "suppressed_before": suppressed} if suppressed else fields)
        return True
