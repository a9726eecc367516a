"""When something was being done to the Redis of a run, so that a gateway that did not start then has an excuse."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.faults.gateway import Gateway
from tests.faults.schedule import Planned

if TYPE_CHECKING:
    from tests.faults.nemesis import Fault


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

    def disturbing(self, fault: Fault) -> Fault:
        """Return a fault during which something is being done."""

        async def do(planned: Planned, chance: random.Random) -> int:
            with self.disturbed():
                return await fault(planned, chance)

        return do

    @property
    def mark(self) -> int:
        """A number for `quiet_since`."""
        return self._disturbances

    def quiet_since(self, mark: int) -> bool:
        """Whether nothing was done from a mark until now."""
        return not self._acting and mark == self._disturbances


async def start_again(gateway: Gateway, engine: Disturbances | None, misbehaved: Callable[[str], None]) -> None:
    """Start a gateway that was taken away. While something is done to Redis it may take several tries, as its
    supervisor would make; where nothing is, a try that fails is told to `misbehaved`.
    """
    while True:
        mark = engine.mark if engine is not None else 0
        try:
            await gateway.start()
        except AssertionError as error:
            if engine is None or engine.quiet_since(mark):
                misbehaved(f"did not start again: {error}")
            await asyncio.sleep(1)
        else:
            gateway.taken = False
            return
