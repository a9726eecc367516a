"""Time that moves when a test says so."""

from __future__ import annotations


class ManualClock:
    """A clock to call, in seconds, that stands still until it is advanced."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.now += seconds
