"""Connections that have not said yet who they are: few per address, and not for long.

All have the same time to connect, so the order in which they came is the order in which they run out.
"""

from __future__ import annotations

from collections.abc import Iterator

from messageflow.hub.session import Session


class Unauthenticated:
    """Sessions between their handshake and their connect command.

    Args:
        timeout: seconds until one is stale.
        per_address: how many one address may have at once; 0 is no cap.
    """

    def __init__(self, timeout: float, per_address: int) -> None:
        self._timeout = timeout
        self._per_address = per_address
        self._deadlines: dict[Session, float] = {}  # in the order of their deadlines
        self._by_address: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._deadlines)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._deadlines))

    def add(self, session: Session, now: float) -> bool:
        """Enter one. Returns False, and does not, when its address has too many."""
        address = session.connection.address
        already = self._by_address.get(address, 0)
        if self._per_address and already >= self._per_address:
            return False
        self._by_address[address] = already + 1
        self._deadlines[session] = now + self._timeout
        return True

    def discard(self, session: Session) -> None:
        """Take one out, if it is here."""
        if self._deadlines.pop(session, None) is not None:
            address = session.connection.address
            others = self._by_address[address] - 1
            if others:
                self._by_address[address] = others
            else:
                del self._by_address[address]

    def list_stale(self, now: float) -> list[Session]:
        """Return those whose time is over."""
        stale = []
        for session, deadline in self._deadlines.items():
            if deadline > now:
                break
            stale.append(session)
        return stale
