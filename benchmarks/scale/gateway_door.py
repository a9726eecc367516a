"""The door of one simulated gateway: the gateway's own `Admission`, before a hub of which only the counts are real.

Never decides who is let in: that is what `Admission` is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.admission_limits import AdmissionLimits
from messageflow.gateway.origins import Origins
from messageflow.gateway.proxies import Proxies
from messageflow.hub.hub import Hub
from messageflow.hub.rate_limited_log import RateLimitedLog

log = logging.getLogger("benchmarks.scale.storm")
log.addHandler(logging.NullHandler())
log.propagate = False

ADDRESS = "203.0.113.7"


class Crowd:
    """So many of something, for what asks only how many."""

    def __init__(self) -> None:
        self.count = 0

    def __len__(self) -> int:
        return self.count


class Registry:
    """What `Admission` looks at of a hub: how many there are, and its limited log."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.sessions = Crowd()
        self.unauthenticated = Crowd()
        self.connecting = 0
        self.draining = False
        self._log = RateLimitedLog(log, clock)

    def log_limited(self, level: int, event: str, **fields: object) -> None:
        """Log within a rate, to nobody."""
        self._log(level, event, fields)


class Door:
    """Who is in and who is coming in at one gateway.

    Args:
        clock: simulated seconds.
        arrivals_limit: the setting.
        connections_limit: the setting.
        choose: draws a whole number between two, for Retry-After.
    """

    def __init__(
        self, clock: Callable[[], float], arrivals_limit: int, connections_limit: int, choose: Callable[[int, int], int]
    ) -> None:
        self._hub = Registry(clock)
        limits = AdmissionLimits(arrivals_limit=arrivals_limit, connections_limit=connections_limit)
        self._admission = Admission(cast(Hub, self._hub), Origins(), Proxies(), limits=limits, choose=choose)

    @property
    def arriving(self) -> int:
        """How many are coming in."""
        return len(self._hub.unauthenticated) + self._hub.connecting

    @property
    def connections(self) -> int:
        """How many have said who they are."""
        return len(self._hub.sessions)

    def refuse(self) -> float | None:
        """Ask whether one more may come. Returns the seconds of Retry-After when not; else it is among those coming."""
        response = self._admission.refuse_flood(ADDRESS)
        if response is not None:
            return float(dict(response.headers)[b"Retry-After"])
        self._hub.unauthenticated.count += 1
        return None

    def begin_connect(self) -> None:
        """The connect command of one is carried out; it is a session from now on."""
        self._hub.unauthenticated.count -= 1
        self._hub.sessions.count += 1
        self._hub.connecting += 1

    def leave_unauthenticated(self) -> None:
        """One has gone before it said who it is."""
        self._hub.unauthenticated.count -= 1

    def abandon(self) -> None:
        """One has gone while its connect command was carried out."""
        self._hub.connecting -= 1
        self._hub.sessions.count -= 1

    def complete(self) -> None:
        """One is connected."""
        self._hub.connecting -= 1
