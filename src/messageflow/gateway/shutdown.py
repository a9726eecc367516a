"""The end of a worker in order: no new connections, the clients asked to leave, the last bytes sent, all within a time.

A second signal cuts the waiting short; what follows then is the same, at once.

Owns no connection; the hub's sessions and the connections that are closing are told, and waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from messageflow.gateway.front_door.admission import Admission
from messageflow.hub.drain import Drain

LOOK_EVERY = 0.05  # seconds
LAST = 10.0  # seconds of the grace, or half of it, that are kept for the end of those who did not leave in time


class Shutdown:
    """How one worker ends.

    Args:
        admission: where its connections came in.
        drain_time: seconds over which the clients are spread.
        grace: seconds after which it is over, however many are left.
        hurried: whether somebody wants it to end at once.
    """

    def __init__(self, admission: Admission, drain_time: float, grace: float, hurried: Callable[[], bool]) -> None:
        self._admission = admission
        self._drain_time = drain_time
        self._hurried = hurried
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + grace
        self._last = min(LAST, grace / 2)

    @property
    def left(self) -> float:
        """The seconds that are left of the grace."""
        return max(0.0, self._ends_at - self._loop.time())

    async def drain(self) -> None:
        """Ask the clients to leave, in time."""
        await Drain(self._admission.hub, self._drain_time).run(lambda: self._hurried() or self.left <= self._last)

    async def close(self) -> None:
        """Close the hub, and return once what was written to the clients has been sent."""
        await self._admission.hub.close()
        await self._close_connections()

    async def _close_connections(self) -> None:
        """Wait for the closing handshakes; a client that takes too long is cut off."""
        leaving = self._admission.leaving
        for _ in range(int(self.left / LOOK_EVERY)):
            if not leaving or self._hurried():
                break
            await asyncio.sleep(LOOK_EVERY)
        for connection in tuple(leaving):
            connection.abort()
