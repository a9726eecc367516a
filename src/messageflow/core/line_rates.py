"""Which lines of a log are written where clients can cause many: of each kind a few at once, then one a second.

Pure: time is an argument. Counts what is dropped.
"""

from __future__ import annotations

from collections.abc import Hashable

BURST = 20  # lines of one kind at once
PER_SECOND = 1.0  # lines of one kind from then on
MOST_KINDS = 1000  # far more than there are; whatever makes more of them shares what is left


class LineRates:
    """Which lines are written: a token bucket for each kind, so that a flood of one kind hides no other.

    Args:
        burst: lines of one kind at once.
        per_second: lines of one kind from then on.
    """

    def __init__(self, burst: int = BURST, per_second: float = PER_SECOND) -> None:
        self._burst = burst
        self._per_second = per_second
        self._kinds: dict[Hashable, _Kind] = {}

    def take(self, kind: Hashable, now: float) -> int | None:
        """Count one line.

        Args:
            kind: what is said, without the client it is about.
            now: monotonic seconds.

        Returns:
            How many of its kind were dropped since the last that was written; None when this one is dropped.
        """
        found = self._kinds.get(kind)
        if found is None:
            if len(self._kinds) >= MOST_KINDS:
                kind = None
            found = self._kinds.setdefault(kind, _Kind(self._burst, now))
        found.tokens = min(self._burst, found.tokens + (now - found.at) * self._per_second)
        found.at = now
        if found.tokens < 1:
            found.dropped += 1
            return None
        found.tokens -= 1
        dropped, found.dropped = found.dropped, 0
        return dropped


class _Kind:
    __slots__ = ("at", "dropped", "tokens")

    def __init__(self, tokens: float, now: float) -> None:
        self.tokens = tokens
        self.at = now
        self.dropped = 0
