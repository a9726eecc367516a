"""Durations as people write them, for the gateway's settings and for the same variables read by a publisher.

Pure.
"""

from __future__ import annotations

import math
import re

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")


def parse_duration(value: object) -> float:
    """Return seconds from a number of seconds or from text such as `15`, `500ms`, `10m` or `1h30m`.

    Raises:
        ValueError: it is neither, or it is negative, infinite or not a number.
    """
    if isinstance(value, str):
        text = value.strip()
        if _DURATION.fullmatch(text):
            return sum(float(number) * SECONDS[unit] for number, unit in _PART.findall(text))
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("not a duration")
    return float(value)
