"""The pulse of a worker: pings and their answers, expiries, connections that stay silent.

Pings go round a wheel. Every session has a slot, chosen at random so that pings are spread; each tick of the wheel
pings one slot and asks after the one pinged a pong timeout ago. Ticks count turns of the event loop, not the clock: a
worker that was frozen does not take its clients for dead when it wakes.

An expiry that is far away costs nothing. The ping that comes last before it puts it on a heap; the heap is looked at
every tick.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from itertools import count

from messageflow.core.codes import CONNECTION_EXPIRED, NO_PONG, STALE, UNSUBSCRIBED_EXPIRED
from messageflow.hub.heartbeat_limits import HeartbeatLimits
from messageflow.hub.runtime import NEVER, Runtime
from messageflow.hub.session import Session
from messageflow.hub.session_state import State
from messageflow.hub.stalled_sessions import StalledSessions
from messageflow.hub.unauthenticated import Unauthenticated

LONGEST_TICK = 0.5  # seconds; an expiry is acted on within this


def tick_length(limits: HeartbeatLimits) -> float:
    """Return the seconds between two ticks."""
    return min(LONGEST_TICK, limits.ping_interval / 8, limits.connect_timeout / 4)


class Heartbeat:
    """The wheel of one hub. `tick` is the whole of it; `run` only calls it in time.

    Args:
        runtime: the clock, the ping interval and the pong timeout, in seconds; the timeout is the shorter.
        unauthenticated: those who have not said who they are.
        stalled: those who do not take what is written.
        on_tick: told the time at every tick, before anybody is pinged.
    """

    def __init__(
        self,
        runtime: Runtime,
        unauthenticated: Unauthenticated,
        stalled: StalledSessions,
        on_tick: Callable[[float], None],
    ) -> None:
        limits = runtime.limits.heartbeat
        self._clock = runtime.clock
        self._unauthenticated = unauthenticated
        self._stalled = stalled
        self._on_tick = on_tick
        self.tick_length = tick_length(limits)
        # A set takes twice the memory of a dict (benchmarks: memory).
        self._slots: list[dict[Session, None]] = [{} for _ in range(round(limits.ping_interval / self.tick_length))]
        self._patience = max(1, round(limits.pong_timeout / self.tick_length))  # ticks a client has to answer
        self._cursor = 0
        self._expiries: list[tuple[float, int, Session]] = []
        self._order = count()

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(self.tick_length)
            self.tick()

    def add(self, session: Session) -> None:
        """Ping this session from now on, the first time after half an interval to a whole one."""
        length = len(self._slots)
        ahead = length // 2 + int(random.random() * (length - length // 2))  # a third of what randint takes
        session.slot = (self._cursor + ahead) % length
        self._slots[session.slot][session] = None
        self.note_expiry(session)

    def discard(self, session: Session) -> None:
        """Ping it no longer."""
        if session.slot >= 0:
            self._slots[session.slot].pop(session, None)

    def note_expiry(self, session: Session) -> None:
        """Look at the expiries of a session that is new, or was refreshed, or is pinged."""
        soonest = session.expires_at
        for subscription in session.subscriptions:
            if subscription.expires_at < soonest:
                soonest = subscription.expires_at
        if soonest != NEVER and soonest - self._clock() <= (len(self._slots) + 2) * self.tick_length:
            heapq.heappush(self._expiries, (soonest, next(self._order), session))

    def tick(self) -> None:
        """Do what is due."""
        now = self._clock()
        for session in self._unauthenticated.list_stale(now):
            if session.state is not State.CONNECTING:  # it has said who it is, and waits for others to make room
                session.disconnect(STALE)
        self._expire(now)
        self._on_tick(now)
        length = len(self._slots)
        self._cursor = (self._cursor + 1) % length
        if self._patience < length:
            self._ask_after(self._slots[(self._cursor - self._patience) % length])
        self._ping(self._slots[self._cursor])

    def _ping(self, slot: dict[Session, None]) -> None:
        for session in tuple(slot):
            session.rest()
            self.note_expiry(session)
            if self._stalled.is_stalled(session):
                self._stalled.look_after(session)  # a ping would wait behind what it does not read
                continue
            if not session.encoder.one_way:
                session.pings += 1
                session.heard = False
            session.write(session.encoder.ping)

    def _ask_after(self, slot: dict[Session, None]) -> None:
        for session in tuple(slot):
            one_way = session.encoder.one_way
            if not one_way and (session.heard or not session.pings):
                continue
            if one_way or self._stalled.is_stalled(session):
                self._stalled.look_after(session)
            else:
                session.disconnect(NO_PONG)

    def _expire(self, now: float) -> None:
        expiries = self._expiries
        while expiries and expiries[0][0] <= now:
            session = heapq.heappop(expiries)[2]
            if session.expires_at <= now:
                session.disconnect(CONNECTION_EXPIRED)
                continue
            for subscription in tuple(session.subscriptions):
                if subscription.expires_at <= now:
                    session.unsubscribe(subscription.channel.name, UNSUBSCRIBED_EXPIRED)
