"""The last links of a worker that ends: waited for, for a time, and then cut off."""

from __future__ import annotations

import asyncio

from messageflow.gateway.shutdown import Shutdown
from tests.gateway.test_metrics import Watched


async def test_at_the_end_who_does_not_answer_is_cut_off() -> None:
    world = Watched()
    await world.hub.start()
    stuck = _Stuck()
    world.admission.leaving.add(stuck)  # type: ignore[arg-type]
    shutdown = Shutdown(world.admission, 0.0, 0.2, lambda: False)
    assert 0 < shutdown.left <= 0.2
    await shutdown.close()
    assert stuck.aborted
    assert shutdown.left < 0.1


async def test_at_the_end_nobody_is_waited_for_who_is_in_a_hurry() -> None:
    world = Watched()
    await world.hub.start()
    stuck = _Stuck()
    world.admission.leaving.add(stuck)  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await Shutdown(world.admission, 0.0, 3600.0, lambda: True).close()
    assert stuck.aborted


async def test_at_the_end_who_answers_is_waited_for() -> None:
    world = Watched()
    await world.hub.start()
    slow = _Stuck()
    world.admission.leaving.add(slow)  # type: ignore[arg-type]
    asyncio.get_running_loop().call_later(0.1, world.admission.leaving.clear)
    async with asyncio.timeout(20):
        await Shutdown(world.admission, 0.0, 3600.0, lambda: False).close()
    assert not slow.aborted


class _Stuck:
    """A connection that was told to end and does not."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True
