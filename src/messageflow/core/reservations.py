"""What clients asked for once: which keys were reserved, by which node, and what came of them.

Bounded by age and by number. What it has forgotten it knows to have forgotten: a key that is shown again, and was first
shown before that, is not taken for a new one.

Pure: time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, NamedTuple

ReservationState = Literal["mine", "running", "ended", "unknown"]
"""Who asks is to do it; somebody does; it was done, or refused; it may have been done, and nobody will ever know."""

TRANSIT = 5.0  # seconds that a repetition may have been on its way, on a network that loses


class Reservation(NamedTuple):
    """What a key is found to be; `outcome` of one that has ended, as it was settled."""

    state: ReservationState
    outcome: bytes = b""


MINE, RUNNING, UNKNOWN = Reservation("mine"), Reservation("running"), Reservation("unknown")


class KnownReservation(NamedTuple):
    """A reservation as it is remembered: when it was made, by which node while it runs, and what became of it."""

    at: float
    node: str
    reservation: Reservation = RUNNING


class Remembered(NamedTuple):
    """What a table leaves to the next: since when it has known all, and each key with when and what became of it."""

    since: float
    rows: list[tuple[str, str, float, bytes | None]]


class ReservationTable:
    """The reservations of all users.

    Args:
        ttl: seconds a reservation is remembered.
        size: how many are remembered at most; the oldest go first, and `evicted` counts those that went early.
        since: from when on every reservation is known.
    """

    def __init__(self, *, ttl: float, size: int, since: float) -> None:
        self._ttl = ttl
        self._size = size
        self._known: OrderedDict[tuple[str, str], KnownReservation] = OrderedDict()
        self.since = since
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._known)

    def take(self, node: str, user: str, key: str, age: float | None, now: float) -> Reservation:
        """Reserve a key for a node, or return what has become of it.

        Args:
            node: who would do it.
            user: whose key it is; nobody's meets another's.
            key: names what is to be done once.
            age: seconds since the key was first shown, None where this is the first time.
            now: the time.
        """
        self.sweep(now)
        found = self._known.get((user, key))
        if found is not None:
            return found.reservation
        if age is not None and now - age - TRANSIT < self.since:
            return UNKNOWN
        self._put((user, key), KnownReservation(now, node))
        return MINE

    def settle(self, user: str, key: str, outcome: bytes | None, now: float) -> None:
        """What was reserved has ended, with an outcome; with None it was not done, and may be reserved anew."""
        before = self._known.get((user, key))
        if outcome is None:
            self._known.pop((user, key), None)
        elif before is not None:
            self._known[user, key] = KnownReservation(before.at, "", Reservation("ended", outcome))
        else:
            self._put((user, key), KnownReservation(now, "", Reservation("ended", outcome)))

    def forget_node(self, node: str) -> None:
        """A node is gone: what it had reserved and not settled may have been done."""
        for key, known in self._known.items():
            if known.node == node:
                self._known[key] = KnownReservation(known.at, "", UNKNOWN)

    def leave(self) -> Remembered:
        """Return what the next table should know; what still runs will not come to an end."""
        rows = [
            (user, key, known.at, known.reservation.outcome if known.reservation.state == "ended" else None)
            for (user, key), known in self._known.items()
        ]
        return Remembered(self.since, rows)

    def take_over(self, left: Remembered) -> None:
        """Know what the table before this, which nothing has come between, has left."""
        self.since = left.since
        for user, key, at, outcome in left.rows:
            reservation = UNKNOWN if outcome is None else Reservation("ended", outcome)
            self._put((user, key), KnownReservation(at, "", reservation))

    def sweep(self, now: float) -> None:
        """Forget what is too old."""
        while self._known and next(iter(self._known.values())).at + self._ttl <= now:
            self._drop_oldest()

    def _put(self, key: tuple[str, str], known: KnownReservation) -> None:
        self._known[key] = known
        if len(self._known) > self._size:
            self._drop_oldest()
            self.evicted += 1

    def _drop_oldest(self) -> None:
        _, dropped = self._known.popitem(last=False)
        self.since = max(self.since, dropped.at)
