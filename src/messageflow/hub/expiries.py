"""When connections and subscriptions end for want of a newer token.

An expiry that is far away costs nothing. The ping that comes last before it puts it on a heap; the heap is looked at
every tick of the heartbeat. Never decides how long anything is good for.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from messageflow.core.codes import CONNECTION_EXPIRED, UNSUBSCRIBED_EXPIRED
from messageflow.hub.runtime import NEVER
from messageflow.hub.session import Session


class Expiries:
    """The expiries of one hub that are near.

    Args:
        clock: seconds, as of the hub.
        horizon: seconds after which every session is noted again.
    """

    def __init__(self, clock: Callable[[], float], horizon: float) -> None:
        self._clock = clock
        self._horizon = horizon
        self._near: list[tuple[float, int, Session]] = []
        self._order = count()

    def note(self, session: Session) -> None:
        """Look at the expiries of a session that is new, or was refreshed, or is pinged."""
        soonest = session.expires_at
        for subscription in session.subscriptions:
            if subscription.expires_at < soonest:
                soonest = subscription.expires_at
        if soonest != NEVER and soonest - self._clock() <= self._horizon:
            heapq.heappush(self._near, (soonest, next(self._order), session))

    def end_due(self, now: float) -> None:
        """End what has expired."""
        near = self._near
        while near and near[0][0] <= now:
            session = heapq.heappop(near)[2]
            if session.expires_at <= now:
                session.disconnect(CONNECTION_EXPIRED)
                continue
            for subscription in tuple(session.subscriptions):
                if subscription.expires_at <= now:
                    session.unsubscribe(subscription.channel.name, UNSUBSCRIBED_EXPIRED)
