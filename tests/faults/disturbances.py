"""When something was being done to the Redis of a run, so that a gateway that did not start then has an excuse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Disturbances:
    """What was done, and is being done. Whatever servers a run has, their owner is one of these."""

    def __init__(self) -> None:
        self._acting = 0
        self._disturbances = 0

    @contextmanager
    def disturbed(self) -> Iterator[None]:
        """Something is done while this lasts."""
        self._acting += 1
        self._disturbances += 1
        try:
            yield
        finally:
            self._acting -= 1
            self._disturbances += 1

    @property
    def mark(self) -> int:
        """A number for `quiet_since`."""
        return self._disturbances

    def quiet_since(self, mark: int) -> bool:
        """Whether nothing was done from a mark until now."""
        return not self._acting and mark == self._disturbances
