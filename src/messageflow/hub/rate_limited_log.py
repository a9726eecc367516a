"""Logging what clients cause: of each kind of line a few at once, then one a second, and the rest counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from messageflow.core.line_rates import LineRates


class RateLimitedLog:
    """A logger that drops what comes too often, and says so in the next line of that kind it writes.

    Args:
        logger: where lines go.
        clock: monotonic seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float]) -> None:
        self._logger = logger
        self._clock = clock
        self._rates = LineRates()

    def __call__(self, level: int, event: str, fields: Mapping[str, object]) -> bool:
        """Log, with a traceback where a field `exception` is one, or not. Returns False when the line was dropped."""
        if not self._logger.isEnabledFor(level):
            return True
        dropped = self._rates.take(event, self._clock())
        if dropped is None:
            return False
        more = dict(fields)
        error = more.pop("exception", None)
        if dropped:
            more["suppressed_before"] = dropped
        exc_info = error if isinstance(error, BaseException) else None
        self._logger.log(level, event, extra={**more, "limited": True}, exc_info=exc_info)
        return True
